//! What there is to be served, and how each of it is set up when it is loaded.
//!
//! `registry` finds a version (`model`) by name. Its `engine` is a scheduler, set up by `policy`, `buckets`, `reshape` and
//! `warm_up` from the model's configuration, or an `ensemble` of other models.

mod buckets;
pub mod engine;
pub mod ensemble;
mod model;
mod policy;
pub mod registry;
mod reshape;
mod warm_up;

pub use model::{Port, Version};
