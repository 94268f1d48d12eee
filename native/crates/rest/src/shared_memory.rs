//! Regions of shared memory over HTTP: the messages that gRPC has, in JSON.

use crate::{
    answer::{self, Answer},
    json,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use infermesh_wire::{
    Error,
    proto::inference::{
        CudaSharedMemoryRegisterRequest, CudaSharedMemoryStatusResponse, SystemSharedMemoryRegisterRequest,
        SystemSharedMemoryStatusResponse,
    },
};
use prost::Message;
use serde::Deserialize;
use std::collections::HashMap;

pub fn system_register_request(
    name: String,
    body: &[u8],
) -> Result<SystemSharedMemoryRegisterRequest, Error> {
    let System { key, offset, byte_size } = json::parsed(body)?;
    let (key, byte_size) = (key.ok_or_else(|| lacks("key"))?, byte_size.ok_or_else(|| lacks("byte_size"))?);
    Ok(SystemSharedMemoryRegisterRequest { name, key, offset, byte_size })
}

pub fn cuda_register_request(name: String, body: &[u8]) -> Result<CudaSharedMemoryRegisterRequest, Error> {
    let Cuda { raw_handle, device_id, byte_size } = json::parsed(body)?;
    let raw_handle = BASE64_STANDARD.decode(raw_handle.ok_or_else(|| lacks("raw_handle"))?.b64);
    Ok(CudaSharedMemoryRegisterRequest {
        name,
        raw_handle: raw_handle
            .map_err(|_| Error::invalid("'raw_handle' must be a valid base64 encoded cudaIpcMemHandle_t"))?
            .into(),
        device_id,
        byte_size: byte_size.ok_or_else(|| lacks("byte_size"))?,
    })
}

pub fn system_status(found: SystemSharedMemoryStatusResponse) -> Result<Answer, Error> {
    list(found.regions, "SystemSharedMemoryStatusResponse.RegionStatus")
}

pub fn cuda_status(found: CudaSharedMemoryStatusResponse) -> Result<Answer, Error> {
    list(found.regions, "CudaSharedMemoryStatusResponse.RegionStatus")
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct System {
    key: Option<String>,
    offset: u64,
    byte_size: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Cuda {
    raw_handle: Option<Base64>,
    device_id: i64,
    byte_size: Option<u64>,
}

#[derive(Deserialize)]
struct Base64 {
    b64: String,
}

fn lacks(field: &str) -> Error {
    Error::invalid(format!("Shared memory register request has no '{field}' field"))
}

/// An array, by name. `message` is that of a region's status.
fn list<M: Message>(regions: HashMap<String, M>, message: &str) -> Result<Answer, Error> {
    let mut regions: Vec<_> = regions.into_iter().collect();
    regions.sort_by(|a, b| a.0.cmp(&b.0));
    json::array(regions.iter().map(|(_, region)| json::of(region, message, true))).map(answer::json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use infermesh_wire::proto::inference::system_shared_memory_status_response::RegionStatus;

    #[test]
    fn a_registration_says_where_the_memory_is() {
        let request = system_register_request("r".into(), br#"{"key": "/k", "byte_size": 8}"#).unwrap();
        assert_eq!((&request.key[..], request.offset, request.byte_size), ("/k", 0, 8));
        let body = br#"{"raw_handle": {"b64": "AQI="}, "device_id": 1, "byte_size": 8}"#;
        let request = cuda_register_request("r".into(), body).unwrap();
        assert_eq!((&request.raw_handle[..], request.device_id), (&[1, 2][..], 1));
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = system_register_request("r".into(), br#"{"key": "/k"}"#).unwrap_err();
        assert_eq!(error.message, "Shared memory register request has no 'byte_size' field");
        let error = cuda_register_request("r".into(), br#"{"raw_handle": {"b64": "?"}}"#).unwrap_err();
        assert!(error.message.contains("valid base64"), "{error}");
    }

    #[test]
    fn regions_are_listed_by_name() {
        let region = |name: &str| RegionStatus { name: name.into(), key: "/k".into(), ..Default::default() };
        let regions = ["b", "a"].map(|name| (name.to_owned(), region(name))).into();
        let answer = system_status(SystemSharedMemoryStatusResponse { regions }).unwrap();
        let text = |name| format!(r#"{{"name":"{name}","key":"/k","offset":0,"byte_size":0}}"#);
        assert_eq!(answer.body().concat(), format!("[{},{}]", text("a"), text("b")).as_bytes());
    }
}
