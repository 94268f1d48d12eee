//! The generator against servers on loopback: the one that answers everything, and others that do as a test tells them.

// Helpers of tests may panic as tests do.
#![allow(clippy::unwrap_used)]

mod closed;
mod faults;
mod grpc;
mod http;
mod open;
mod plans;
mod runs;
mod servers;
mod wire;
