//! What the fuzz targets reach of this edge.

use super::infer::{valid_raw, values};
use crate::{
    inference::validate::{Valid, validate_with},
    memory::shared_memory::Regions,
    models::Version,
};
use bytes::Bytes;
use infermesh_rest::{header::Header, path::Route};

/// What is found valid in a body: as JSON of `length` bytes with a binary tail, and as one raw tensor.
pub fn valid(version: &Version, length: usize, body: &Bytes, regions: &Regions) -> Vec<Valid> {
    let structured = || {
        let mut tail = body.clone();
        let text = tail.split_to(length);
        let header = Header::parse(&text)?;
        let data = header.data(tail)?;
        let request = header.request(&version.name, "")?;
        validate_with(version, &request, regions, values(&data))
    };
    structured().into_iter().chain(valid_raw(version, body.clone(), regions)).collect()
}

pub fn path(path: &str) {
    let _ = Route::parse(path);
}
