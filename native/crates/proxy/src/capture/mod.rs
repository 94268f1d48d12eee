//! A sample of requests and answers for the data lake: bounded, and never waited for.
//!
//! `captures` is the sample of one route: `sampler` decides which requests, `passing` has one while it passes, `record`
//! what is kept of it, and `room` bounds what that may take. `queue` is where the records of all routes wait for
//! whoever writes them to files. A request that is not sampled pays for one comparison, and where no route keeps
//! anything there is nothing to pay for.

mod captures;
mod passing;
mod queue;
mod record;
mod room;
mod sampler;

pub use captures::Captures;
pub use passing::Passing;
pub use queue::Queue;
pub use record::{Body, Record};
pub use sampler::Sampler;

/// Generated from `protos/infermesh/capture/v1`.
pub mod proto {
    #![allow(missing_docs, clippy::all)]
    include!(concat!(env!("OUT_DIR"), "/infermesh.capture.v1.rs"));
}
