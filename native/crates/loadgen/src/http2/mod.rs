//! HTTP/2 (RFC 9113) from a client's side, for requests whose bytes are ready.

pub mod assembly;
mod connection;
pub mod frame;
pub mod input;
mod stream;

pub use connection::Connection;
