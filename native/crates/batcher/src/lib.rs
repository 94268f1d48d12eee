//! Dynamic batching: requests queue up per model version, form batches, run on an instance and are split again.
//!
//! `queue` decides (a pure state machine over a clock that the caller supplies) with what `forecast` expects of the
//! durations that `fit` learns; `scheduler` owns threads and instances, `gather` and `split` move tensors, `decoupled` hands out
//! answers one by one, `ragged` lets requests of different shapes share a batch, `mailbox` carries answers home, in the `order` of their
//! batches where that is asked for, `stats` counts.

pub mod backend;
pub mod buckets;
mod decoupled;
pub mod fit;
pub mod forecast;
mod gather;
pub mod hidden;
pub mod histogram;
pub mod mailbox;
mod order;
pub mod parameters;
pub mod queue;
pub mod ragged;
pub mod reply;
pub mod request;
pub mod scheduler;
pub mod sequence;
mod split;
pub mod stats;
pub mod trace;
mod waiting;
pub mod warm_up;

pub use backend::{Backend, Tensor, TensorView};
pub use buckets::Buckets;
pub use mailbox::Mailbox;
pub use queue::{LevelPolicy, Policy, TimeoutAction};
pub use reply::{Many, Part, Reply};
pub use request::{Answer, Claim, Expiry, Outcome, Request, Timing};
pub use scheduler::{Drive, Scheduler, Signature};
pub use stats::{Failure, Stats};
pub use trace::TraceIds;
pub use warm_up::{Rehearsal, RunIn, Sample};
