//! The gRPC edge: from HTTP/2 streams to methods, and from their answers back.
//!
//! `call` frames messages, `route` picks a method. Inferences come in by `unary` and `stream`;
//! `health` and `reflection` are services that only gRPC has; everything else is answered by `control`.

pub mod call;
mod health;
pub mod reflection;
pub mod route;
mod stream;
mod unary;
