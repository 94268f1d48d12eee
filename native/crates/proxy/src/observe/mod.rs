//! What is told of requests. Whoever records needs no lock and no memory for it; who wants to know comes and reads.
//!
//! `metrics` are the numbers that are kept of every request; `ending` is how one ended.

pub mod ending;
pub mod metrics;
