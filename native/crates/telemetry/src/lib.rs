//! What is said about requests, on its way out of the data plane. Everything here is bounded and never waits for its
//! reader: what does not fit is dropped and counted.
//!
//! `log` holds records for the process's log. A trace begins with `context` (the caller's; `b3` is another way to say it) and `rules` (whether to
//! record it), becomes `span`s, and leaves as `otlp`; `traces` holds that together. `outbox` is the queue between the
//! request path and whoever sends or writes. `metrics` writes what Prometheus reads.

pub mod b3;
pub mod context;
pub mod log;
pub mod metrics;
mod otlp;
pub mod outbox;
pub mod rules;
pub mod span;
pub mod traces;

pub use context::Parent;
pub use log::{Log, Value};
pub use span::Span;
pub use traces::Traces;
