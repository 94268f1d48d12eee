//! A sample of requests and answers for the data lake: bounded, and never waited for.
//!
//! `sampler` decides which, `record` holds what passed while it passes, `room` bounds what that may take,
//! `queue` is where records wait for whoever writes them to files. A request that is not sampled pays for one
//! comparison.

mod queue;
mod record;
mod room;
mod sampler;

pub use queue::Captures;
pub use record::{Body, Record};
pub use sampler::Sampler;

/// Generated from `protos/infermesh/capture/v1`.
pub mod proto {
    #![allow(missing_docs, clippy::all)]
    include!(concat!(env!("OUT_DIR"), "/infermesh.capture.v1.rs"));
}
