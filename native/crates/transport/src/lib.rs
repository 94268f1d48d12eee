//! From a port or a unix socket to HTTP: what the server and the proxy have in common where they meet the network.
//!
//! `listener` accepts and hands each connection to one network `thread`, which owns it for good; `socket` agrees on TLS
//! (`tls`) and passes it on to `http1` or `http2`, which stand behind what holds the `peer` to what it may do.
//! `connections` is what all of them share, and how they end; `budget` is the memory that requests may take.

pub mod budget;
pub mod connections;
pub mod http1;
pub mod http2;
pub mod lazy;
pub mod listener;
pub mod peer;
pub mod socket;
pub mod thread;
pub mod tls;

pub use connections::Connections;
pub use peer::rules::Rules;
pub use tls::{Files as TlsFiles, Identity, Terms, Tls};
