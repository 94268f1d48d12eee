//! A server for the Open Inference Protocol v2, over gRPC and over HTTP.
//!
//! One way through, and a folder imports only from those below it in this list:
//!
//! - `connection` is what is spoken on those that the crate `transport` accepts;
//! - `grpc` and `http` are the two edges: they turn what comes in into requests, and write the answers;
//! - `control` answers what is no inference;
//! - `inference` takes a request through its model: validate, queue, wait, present;
//! - `observe` tells of it in traces, the log and metrics;
//! - `models` holds what is served;
//! - `memory` is where requests and answers lie.
//!
//! Beside them, `server` is the whole as its owner sees it, who is told of a `breakdown`. `shared` is what a server's
//! threads have in common: made of parts of the folders, and looked at by most of them.

mod breakdown;
mod connection;
mod control;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod grpc;
mod http;
mod inference;
mod memory;
mod models;
mod observe;
mod server;
mod shared;

pub use breakdown::Breakdown;
pub use control::settings::{LogControl, Setting};
pub use memory::shared_memory::Access;
pub use models::{
    Version,
    registry::{Control, Registry},
};
pub use server::{Server, Settings};
