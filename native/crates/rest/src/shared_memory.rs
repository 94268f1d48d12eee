//! Regions of shared memory over HTTP: the messages that gRPC has, in JSON.

use super::{
    answer::{self, Answer},
    json,
    path::Action,
    route::parsed,
};
use crate::{control::shared_memory, memory::shared_memory::Kind, shared::Local};
use base64::{Engine, prelude::BASE64_STANDARD};
use infermesh_wire::{
    Error,
    proto::inference::{
        CudaSharedMemoryRegisterRequest, CudaSharedMemoryStatusRequest, CudaSharedMemoryUnregisterRequest,
        SystemSharedMemoryRegisterRequest, SystemSharedMemoryStatusRequest,
        SystemSharedMemoryUnregisterRequest,
    },
};
use prost::Message;
use serde::Deserialize;
use std::collections::HashMap;

pub async fn serve(
    local: &Local,
    kind: Kind,
    name: String,
    action: Action,
    body: &[u8],
) -> Result<Answer, Error> {
    match (kind, action) {
        (Kind::System, Action::Status) => {
            let found = shared_memory::system_status(local, SystemSharedMemoryStatusRequest { name })?;
            return list(found.regions, "SystemSharedMemoryStatusResponse.RegionStatus");
        }
        (Kind::Cuda, Action::Status) => {
            let found = shared_memory::cuda_status(local, CudaSharedMemoryStatusRequest { name })?;
            return list(found.regions, "CudaSharedMemoryStatusResponse.RegionStatus");
        }
        (Kind::System, Action::Register) => {
            let System { key, offset, byte_size } = parsed(body)?;
            let (key, byte_size) =
                (key.ok_or_else(|| lacks("key"))?, byte_size.ok_or_else(|| lacks("byte_size"))?);
            let request = SystemSharedMemoryRegisterRequest { name, key, offset, byte_size };
            shared_memory::system_register(local, request)?;
        }
        (Kind::Cuda, Action::Register) => {
            let Cuda { raw_handle, device_id, byte_size } = parsed(body)?;
            let raw_handle = BASE64_STANDARD.decode(raw_handle.ok_or_else(|| lacks("raw_handle"))?.b64);
            let request = CudaSharedMemoryRegisterRequest {
                name,
                raw_handle: raw_handle
                    .map_err(|_| {
                        Error::invalid("'raw_handle' must be a valid base64 encoded cudaIpcMemHandle_t")
                    })?
                    .into(),
                device_id,
                byte_size: byte_size.ok_or_else(|| lacks("byte_size"))?,
            };
            shared_memory::cuda_register(local, request).await?;
        }
        (Kind::System, Action::Unregister) => {
            shared_memory::system_unregister(local, SystemSharedMemoryUnregisterRequest { name })?;
        }
        (Kind::Cuda, Action::Unregister) => {
            shared_memory::cuda_unregister(local, CudaSharedMemoryUnregisterRequest { name })?;
        }
    }
    Ok(answer::empty())
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
