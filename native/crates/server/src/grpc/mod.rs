//! The gRPC edge: from HTTP/2 streams to methods, and from their answers back.
//!
//! `connection` speaks HTTP/2, `call` frames messages, `route` picks a method. Inferences come in by `unary` and `stream`;
//! `health` and `reflection` are services that only gRPC has; everything else is answered by `control`.

mod call;
pub mod connection;
mod health;
pub mod reflection;
mod route;
mod stream;
mod unary;
