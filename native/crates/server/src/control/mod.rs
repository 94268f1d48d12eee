//! What can be asked of the server other than an inference: messages in, messages out, for either edge.
//!
//! `describe` knows the server and its models, loads and unloads them; `statistics` counts; `settings` changes what is
//! observed; `shared_memory` registers regions.

pub mod describe;
pub mod settings;
pub mod shared_memory;
pub mod statistics;
