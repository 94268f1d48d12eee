//! What a model says of its tensors, as far as rules need it.

use infermesh_wire::{
    Code, DataType, Error, Shape,
    proto::inference::{ModelMetadataResponse, model_metadata_response::TensorMetadata},
};
use std::fmt;

/// One input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    pub name: String,
    pub datatype: DataType,
    /// With -1 for any size.
    pub shape: Shape,
}

/// The inputs that a rule fills.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports(pub(super) Vec<Port>);

impl Port {
    fn of(tensor: &TensorMetadata) -> Result<Self, Error> {
        let datatype = DataType::from_name(&tensor.datatype).ok_or_else(|| {
            let TensorMetadata { name, datatype, .. } = tensor;
            Error::internal(format!("the model's input '{name}' has the unknown datatype '{datatype}'"))
        })?;
        Ok(Self { name: tensor.name.clone(), datatype, shape: Shape::from_slice(&tensor.shape) })
    }
}

impl Ports {
    /// Fails with INTERNAL if an input has a datatype that the protocol does not have.
    pub fn of(metadata: &ModelMetadataResponse) -> Result<Self, Error> {
        metadata.inputs.iter().map(Port::of).collect::<Result<_, _>>().map(Self)
    }

    /// Those of these names, in their order. Fails with NOT_FOUND if the model lacks one.
    pub fn select<'a>(&self, names: impl Iterator<Item = &'a str>) -> Result<Self, Error> {
        let find = |name| {
            let port = self.0.iter().find(|port| port.name == name);
            port.cloned().ok_or_else(|| self.unknown(name))
        };
        names.map(find).collect::<Result<_, _>>().map(Self)
    }

    pub fn unknown(&self, name: &str) -> Error {
        Error::new(Code::NotFound, format!("the model has no input '{name}', it has {self}"))
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' {}{:?}", self.name, self.datatype.name(), self.shape.as_slice())
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list: Vec<String> = self.0.iter().map(Port::to_string).collect();
        f.write_str(if list.is_empty() { "none" } else { "" })?;
        f.write_str(&list.join(", "))
    }
}
