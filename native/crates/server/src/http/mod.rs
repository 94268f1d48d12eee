//! The HTTP edge: the v2 protocol in JSON, and metrics. The engine behind it is the one that gRPC has.
//!
//! `body` receives, `route` asks for what a path stands for, `infer` for an
//! inference. What the protocol says over HTTP, and how, is the crate `rest`. `answer` writes, `errors` maps.

pub mod answer;
mod body;
pub mod errors;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod infer;
mod metrics;
mod route;
#[cfg(test)]
mod tests;

pub use metrics::serve as metrics;
pub use route::serve as rest;
