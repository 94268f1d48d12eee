//! The HTTP edge: the v2 protocol in JSON, and metrics. The engine behind it is the one that gRPC has.
//!
//! `body` receives, `route` picks by `path`. An inference goes through `infer`, `header`
//! (or `raw`) and `tensor`; any other answer is the JSON form (`json`) of the message that gRPC would send. `answer`
//! writes, `errors` maps.

pub mod answer;
mod body;
pub mod errors;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod header;
mod infer;
mod json;
mod metrics;
mod path;
mod raw;
mod route;
mod settings;
mod shared_memory;
mod tensor;

pub use metrics::serve as metrics;
pub use route::serve as rest;
