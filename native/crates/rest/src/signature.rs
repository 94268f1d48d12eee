//! What a model takes and gives, by its metadata.

use crate::raw;
use bytes::Bytes;
use infermesh_wire::{
    DataType, Error, Shape,
    framing::frame,
    proto::inference::{
        ModelMetadataRequest, ModelMetadataResponse, model_metadata_response::TensorMetadata,
    },
};
use prost::Message;
use std::fmt;

/// The path of the call whose answer says it.
pub const METADATA: &str = grpc!("ModelMetadata");

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    pub model: String,
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
}

/// An input or an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    pub name: String,
    pub datatype: DataType,
    /// With the batch; -1 for a dimension of any size.
    pub shape: Shape,
}

/// The length-prefixed message that asks for a model's signature; an empty version is the newest.
pub fn request(model: &str, version: &str) -> Bytes {
    frame(&ModelMetadataRequest { name: model.to_owned(), version: version.to_owned() })
}

impl Signature {
    /// Of a serialised `ModelMetadataResponse`. Fails with INTERNAL if it is none.
    pub fn decode(message: Bytes) -> Result<Self, Error> {
        let metadata = ModelMetadataResponse::decode(message)
            .map_err(|error| Error::internal(format!("a model's metadata cannot be read: {error}")))?;
        Self::of(metadata)
    }

    /// Fails with INTERNAL for a data type that the protocol does not have.
    pub fn of(metadata: ModelMetadataResponse) -> Result<Self, Error> {
        let ports = |tensors: Vec<_>| tensors.into_iter().map(Port::of).collect::<Result<_, _>>();
        Ok(Self { model: metadata.name, inputs: ports(metadata.inputs)?, outputs: ports(metadata.outputs)? })
    }

    /// Whether the first dimension of every tensor may have any size, as where a model batches. Metadata do
    /// not say it any clearer.
    pub fn batches(&self) -> bool {
        self.inputs.iter().chain(&self.outputs).all(Port::batches)
    }
}

impl Port {
    fn of(TensorMetadata { name, datatype, shape }: TensorMetadata) -> Result<Self, Error> {
        let known = DataType::from_name(&datatype);
        let datatype = known.ok_or_else(|| {
            Error::internal(format!("tensor '{name}' has the unknown data-type '{datatype}'"))
        })?;
        Ok(Self { name, datatype, shape: Shape::from_vec(shape) })
    }

    pub fn batches(&self) -> bool {
        self.shape.first() == Some(&-1)
    }

    pub fn borrowed(&self) -> raw::Port<'_> {
        raw::Port { name: &self.name, datatype: self.datatype, shape: &self.shape }
    }
}

/// As in `'x' FP32[-1,4]`.
impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' {}{}", self.name, self.datatype.name(), Listed(&self.shape))
    }
}

/// A shape, as in `[-1,4]`.
pub struct Listed<'a>(pub &'a [i64]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dims: Vec<_> = self.0.iter().map(i64::to_string).collect();
        write!(f, "[{}]", dims.join(","))
    }
}
