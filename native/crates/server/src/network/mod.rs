//! From a port or a unix socket to whatever is spoken on it.
//!
//! `listener` accepts and hands each connection to one network `thread`, which owns it for good; `connection` agrees on
//! TLS and passes it to `grpc` or `http`. `peer` says who is at its other end.

mod connection;
pub mod listener;
mod peer;
pub mod thread;
