//! The v2 protocol over HTTP, for whoever speaks it: pure functions of bytes and messages, without a socket.
//!
//! `path` says what a request is about. An inference's body is read by `header` (or `raw`) and `tensor` and answered by
//! `infer`. Everything else is the JSON form (`json`) of the messages that gRPC has: `describe`, `repository`,
//! `settings`, `shared_memory`. `answer` holds what all answers have in common, `status` maps errors.

pub mod answer;
pub mod describe;
pub mod encoding;
pub mod header;
pub mod infer;
mod json;
mod nesting;
pub mod path;
pub mod raw;
pub mod repository;
pub mod settings;
pub mod shared_memory;
mod status;
pub mod tensor;

pub use answer::Answer;
pub use status::status;

/// The OpenAPI document: every path that `path::Route` knows; a test holds one against the other.
pub const OPENAPI: &str = include_str!("openapi.json");
