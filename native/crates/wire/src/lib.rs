//! What travels: the protocol's messages, its data types, its gRPC framing and its errors.
//!
//! `proto` holds the generated messages, used where speed does not matter. The two messages that every inference
//! pays for have their own code: `request` reads a `ModelInferRequest` in place and `request_writer` writes one,
//! `response` writes a `ModelInferResponse` and `response_reader` reads one. Tensors stay where they are.

pub mod contents;
pub mod datatype;
pub mod error;
pub mod framing;
pub mod reader;
pub mod request;
pub mod request_writer;
pub mod response;
pub mod response_reader;
pub mod rows;
mod writer;

pub use datatype::DataType;
pub use error::{Code, Error, OVERLOAD, Source};

/// A tensor's dimensions; inline up to six of them.
pub type Shape = smallvec::SmallVec<[i64; 6]>;

/// Generated from `protos/`.
#[allow(clippy::all)]
pub mod proto {
    pub mod inference {
        include!(concat!(env!("OUT_DIR"), "/inference.rs"));
    }
    pub mod health {
        include!(concat!(env!("OUT_DIR"), "/grpc.health.v1.rs"));
    }
    pub mod reflection {
        include!(concat!(env!("OUT_DIR"), "/grpc.reflection.v1.rs"));
    }
}

/// A serialised `FileDescriptorSet` of every proto that the server serves, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
