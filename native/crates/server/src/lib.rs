//! A server for the Open Inference Protocol v2, over gRPC and over HTTP.
//!
//! One way through: `listener` accepts, `connection` speaks HTTP/2, `call` frames messages, `route` picks a method;
//! an inference goes on to `infer` (or `stream`, `decoupled`), `validate`, the model's scheduler in `registry`, and back
//! through `outputs`, in text (`classification`) or through `shared_memory` where that is wanted. `describe`,
//! `statistics`, `health` and `reflection` answer questions about the server. `watch` records an inference for traces and
//! the log, as `settings` say; `faults` tells the log what models fail at. `http` is the other edge: JSON in front of
//! the same `infer`, `describe` and `statistics`. `metrics` is what Prometheus reads.

mod authority;
mod breakdown;
mod buckets;
mod budget;
mod buffers;
mod cache;
mod call;
mod classification;
mod complaints;
mod connection;
mod decoupled;
mod describe;
mod engine;
mod ensemble;
mod faults;
mod frames;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod grpc;
mod guard;
mod health;
mod http;
mod huffman;
mod infer;
mod life;
mod listener;
mod meter;
mod metrics;
mod model;
mod outputs;
mod patient;
mod peer;
mod policy;
mod queued;
mod reflection;
mod registry;
mod reshape;
mod route;
mod rules;
mod sequence;
mod server;
mod settings;
mod shared_memory;
mod statistics;
mod stream;
mod tally;
mod thread;
mod tls;
mod validate;
mod visit;
mod warm_up;
mod watch;

pub use breakdown::Breakdown;
pub use model::Version;
pub use registry::{Control, Registry};
pub use rules::Rules;
pub use server::{Server, Settings};
pub use settings::{LogControl, Setting};
pub use shared_memory::Access;
pub use tls::{Files as TlsFiles, Tls};
