//! A load generator for v2 model servers.
//!
//! What is sent, when and how often is a `proto::LoadPlan`; what came of it is told in `proto::LoadSlice`s. Each sending
//! thread, a `worker`, has its own connections, schedule and histograms, and shares nothing with the others while it runs:
//! `plan` → `pace` over `arrivals` (when) and `choice` (what) → `links`, each of which speaks `http1` or `http2` over a
//! `transport` → `answer` (whether it is good) → `tally` → `slice`.
//!
//! Latency counts from the moment a request was *due*. What a client does not send because the server keeps it waiting
//! would otherwise be missing from the figures: Tene's coordinated omission.

pub mod answer;
pub mod arrivals;
pub mod choice;
pub mod failure;
mod flights;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod generator;
pub mod histogram;
mod hpack;
mod http1;
mod http2;
mod inbox;
mod link;
mod links;
mod message;
pub mod null_server;
mod outbox;
mod pace;
pub mod plan;
#[cfg(any(test, feature = "fuzzing"))]
mod script;
pub mod slice;
pub mod tally;
mod timer;
mod tls;
mod transport;
mod worker;

pub use generator::{Generator, Problem};
pub use histogram::Histogram;
pub use null_server::NullServer;
pub use plan::Plan;

/// Generated from `protos/infermesh/load/v1`.
#[allow(clippy::all)]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/infermesh.load.v1.rs"));
}
