//! The part of a region that a tensor lies in, as a request names it.

use super::{Regions, region::Region};
use bytes::Bytes;
use infermesh_wire::{
    Error,
    request::{Parameter, Parameters},
};
use std::sync::Arc;

const REGION: &str = "shared_memory_region";
const OFFSET: &str = "shared_memory_offset";
const SIZE: &str = "shared_memory_byte_size";

/// Keeps its region, also beyond the moment at which it is unregistered.
#[derive(Debug)]
pub struct Window {
    region: Arc<Region>,
    offset: usize,
    size: usize,
}

impl Window {
    /// Whether a tensor with these parameters lies in shared memory.
    pub fn is_named_by(parameters: &Parameters<'_>) -> bool {
        parameters.get(REGION).is_some()
    }

    /// `None` for a tensor that does not lie in shared memory.
    ///
    /// Fails with INVALID_ARGUMENT (incomplete, of another type, out of bounds), NOT_FOUND (no such region),
    /// RESOURCE_EXHAUSTED (too large) or UNIMPLEMENTED (not for this client).
    pub fn of(parameters: &Parameters<'_>, tensor: &str, regions: &Regions) -> Result<Option<Self>, Error> {
        let Some(name) = parameters.get(REGION) else {
            return match [OFFSET, SIZE].into_iter().find(|key| parameters.get(key).is_some()) {
                None => Ok(None),
                Some(key) => Err(Error::invalid(format!(
                    "'{key}' can not be specified without '{REGION}' parameter for tensor '{tensor}'"
                ))),
            };
        };
        let Parameter::String(name) = name else { return Err(wrong_type(REGION, tensor, "string_param")) };
        let offset = number(parameters, OFFSET, tensor)?.unwrap_or(0);
        let size = number(parameters, SIZE, tensor)?.ok_or_else(|| {
            Error::invalid(format!(
                "'{SIZE}' must be specified along with '{REGION}' parameter for tensor '{tensor}'"
            ))
        })?;
        let region = regions.find(name)?;
        let misfit = |what| Error::invalid(format!("Invalid {what} for shared memory region: '{name}'"));
        // A negative number is beyond any region's end.
        let offset = u64::try_from(offset).ok().filter(|&offset| offset < region.size);
        let offset = offset.ok_or_else(|| misfit("offset"))?;
        let size = u64::try_from(size).ok().filter(|&size| size <= region.size - offset);
        let size = size.ok_or_else(|| misfit("offset + byte size"))?;
        regions.check_size(size as usize)?;
        Ok(Some(Self { region, offset: offset as usize, size: size as usize }))
    }

    /// How many bytes there are.
    pub fn size(&self) -> usize {
        self.size
    }

    /// What lies there now.
    pub fn read(&self) -> Result<Bytes, Error> {
        self.region.read(self.offset, self.size)
    }

    /// Fails with INTERNAL, and writes nothing, if an output of this size does not fit.
    pub fn check_holds(&self, size: usize, output: &str) -> Result<(), Error> {
        if size <= self.size {
            return Ok(());
        }
        Err(Error::internal(format!(
            "shared memory size specified with the request for output '{output}' ({} bytes) should be at least {size} bytes to hold the results",
            self.size
        )))
    }

    pub fn write(&self, data: &[u8]) -> Result<(), Error> {
        self.region.write(self.offset, data)
    }
}

fn number(parameters: &Parameters<'_>, key: &str, tensor: &str) -> Result<Option<i64>, Error> {
    match parameters.get(key) {
        None => Ok(None),
        Some(Parameter::Int64(value)) => Ok(Some(value)),
        Some(_) => Err(wrong_type(key, tensor, "int64_param")),
    }
}

fn wrong_type(key: &str, tensor: &str, expected: &str) -> Error {
    Error::invalid(format!(
        "invalid value type for '{key}' parameter for tensor '{tensor}', expected {expected}."
    ))
}
