//! The generator against servers on loopback: the one that answers everything, and others that do as a test tells them.

mod closed;
mod faults;
mod grpc;
mod http;
mod open;
mod plans;
mod runs;
mod servers;
mod wire;
