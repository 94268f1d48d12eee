//! HTTP/2 (RFC 9113) from a client's side, for requests whose bytes are ready.
//!
//! `connection` is what a connection is made of and how it is read; what it does is in `outgoing` and `incoming`.

pub mod assembly;
mod connection;
pub mod frame;
mod headers;
mod incoming;
pub mod input;
mod outcome;
mod outgoing;
mod stream;
#[cfg(test)]
mod tests;

pub use connection::Connection;
