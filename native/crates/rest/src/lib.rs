//! The v2 protocol over HTTP, for whoever speaks it: pure functions of bytes and messages, without a socket.
//!
//! `path` says what a request is about. An inference's body is read by `header` (or `raw`) and `tensor` and
//! answered by `infer`. Everything else is the JSON form (`json`) of the messages that gRPC has: `describe`,
//! `repository`, `settings`, `shared_memory`. `answer` holds what all answers have in common, `status` maps
//! errors.
//!
//! A server needs no more. A proxy, which is asked over HTTP and asks over gRPC, has `transcode`; `simple` is
//! for clients that know no protocol, with the help of a model's `signature`, and `coalesce` makes one call
//! of several.

/// The path of a gRPC call.
macro_rules! grpc {
    ($method:literal) => {
        concat!("/inference.GRPCInferenceService/", $method)
    };
}

pub mod answer;
pub mod coalesce;
pub mod describe;
pub mod encoding;
pub mod header;
pub mod infer;
mod json;
mod nesting;
mod outputs;
mod parameters;
pub mod path;
pub mod raw;
pub mod repository;
pub mod settings;
pub mod shared_memory;
pub mod signature;
mod simple;
mod status;
pub mod tensor;
pub mod transcode;

pub use answer::Answer;
pub use signature::Signature;
pub use status::status;

/// The OpenAPI document: every path that `path::Route` knows; a test holds one against the other.
pub const OPENAPI: &str = include_str!("openapi.json");
