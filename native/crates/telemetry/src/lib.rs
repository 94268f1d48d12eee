//! What is said about requests, on its way out of the data plane. Everything here is bounded and never waits for its
//! reader: what does not fit is dropped and counted.
//!
//! `outbox` is the queue between the request path and whoever sends or writes; `log` holds records for the process's
//! log.

pub mod log;
pub mod outbox;

pub use log::Log;
