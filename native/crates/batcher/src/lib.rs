//! Dynamic batching: requests queue up per model version, form batches, run on an instance and are split again.
//!
//! `queue` decides (a pure state machine over a clock that the caller supplies) with what `forecast` expects of the
//! durations that `fit` learns; `scheduler` owns threads and instances, `batch` moves tensors, `mailbox` carries
//! answers home, `stats` counts.

pub mod backend;
pub mod batch;
pub mod fit;
pub mod forecast;
pub mod mailbox;
pub mod parameters;
pub mod queue;
pub mod request;
pub mod scheduler;
pub mod stats;

pub use backend::{Backend, Tensor, TensorView};
pub use mailbox::Mailbox;
pub use queue::{LevelPolicy, Policy, TimeoutAction};
pub use request::{Answer, Expiry, Outcome, Request};
pub use scheduler::{Drive, Scheduler, Signature};
pub use stats::Stats;
