//! What is told of the server's work: `watch` makes spans and records of inferences, `faults` tells the log what models
//! fail at, `metrics` is what Prometheus reads.

pub mod faults;
pub mod metrics;
pub mod watch;
