//! The messages of the shared memory extensions, for every edge.

use crate::{
    memory::shared_memory::{
        Kind, Regions,
        cuda::{self, CudaMemory},
        region::{Memory, Region},
        system::SystemMemory,
    },
    shared::Local,
};
use infermesh_wire::{
    Error,
    proto::inference::{
        CudaSharedMemoryRegisterRequest, CudaSharedMemoryRegisterResponse, CudaSharedMemoryStatusRequest,
        CudaSharedMemoryStatusResponse, CudaSharedMemoryUnregisterRequest,
        CudaSharedMemoryUnregisterResponse, SystemSharedMemoryRegisterRequest,
        SystemSharedMemoryRegisterResponse, SystemSharedMemoryStatusRequest,
        SystemSharedMemoryStatusResponse, SystemSharedMemoryUnregisterRequest,
        SystemSharedMemoryUnregisterResponse, cuda_shared_memory_status_response::RegionStatus as CudaStatus,
        system_shared_memory_status_response::RegionStatus as SystemStatus,
    },
};

pub fn system_status(
    local: &Local,
    request: SystemSharedMemoryStatusRequest,
) -> Result<SystemSharedMemoryStatusResponse, Error> {
    let regions = local.regions.list(&request.name, Kind::System)?;
    let regions = regions.iter().filter_map(|region| match &region.memory {
        Memory::System(memory) => Some(SystemStatus {
            name: region.name.clone(),
            key: memory.key.clone(),
            offset: memory.offset,
            byte_size: region.size,
        }),
        Memory::Cuda(_) => None,
    });
    Ok(SystemSharedMemoryStatusResponse { regions: regions.map(|it| (it.name.clone(), it)).collect() })
}

pub fn system_register(
    local: &Local,
    request: SystemSharedMemoryRegisterRequest,
) -> Result<SystemSharedMemoryRegisterResponse, Error> {
    let SystemSharedMemoryRegisterRequest { name, key, offset, byte_size: size } = request;
    local.regions.register(name, |name| {
        let memory = Memory::System(SystemMemory::open(name, &key, offset, size)?);
        Ok(Region { name: name.to_owned(), size, memory })
    })?;
    Ok(SystemSharedMemoryRegisterResponse {})
}

pub fn system_unregister(
    local: &Local,
    request: SystemSharedMemoryUnregisterRequest,
) -> Result<SystemSharedMemoryUnregisterResponse, Error> {
    local.regions.unregister(&request.name, Kind::System)?;
    Ok(SystemSharedMemoryUnregisterResponse {})
}

pub fn cuda_status(
    local: &Local,
    request: CudaSharedMemoryStatusRequest,
) -> Result<CudaSharedMemoryStatusResponse, Error> {
    let regions = local.regions.list(&request.name, Kind::Cuda)?;
    let regions = regions.iter().filter_map(|region| match &region.memory {
        Memory::Cuda(memory) => Some(CudaStatus {
            name: region.name.clone(),
            device_id: memory.device as u64,
            byte_size: region.size,
        }),
        Memory::System(_) => None,
    });
    Ok(CudaSharedMemoryStatusResponse { regions: regions.map(|it| (it.name.clone(), it)).collect() })
}

/// A driver may take a second to get ready, so the network thread goes on meanwhile.
pub async fn cuda_register(
    local: &Local,
    request: CudaSharedMemoryRegisterRequest,
) -> Result<CudaSharedMemoryRegisterResponse, Error> {
    let regions = local.regions.clone();
    tokio::task::spawn_blocking(move || register_cuda(&regions, request))
        .await
        .unwrap_or_else(|_| Err(Error::internal("the registration of CUDA memory panicked")))?;
    Ok(CudaSharedMemoryRegisterResponse {})
}

fn register_cuda(regions: &Regions, request: CudaSharedMemoryRegisterRequest) -> Result<(), Error> {
    let CudaSharedMemoryRegisterRequest { name, raw_handle, device_id, byte_size: size } = request;
    regions.register(name, |name| {
        if !cuda::is_there() {
            return Err(Error::invalid(format!(
                "failed to register CUDA shared memory region: '{name}', GPUs not supported: this machine has no CUDA driver or device"
            )));
        }
        let memory = Memory::Cuda(CudaMemory::open(name, &raw_handle, device_id, size)?);
        Ok(Region { name: name.to_owned(), size, memory })
    })
}

pub fn cuda_unregister(
    local: &Local,
    request: CudaSharedMemoryUnregisterRequest,
) -> Result<CudaSharedMemoryUnregisterResponse, Error> {
    local.regions.unregister(&request.name, Kind::Cuda)?;
    Ok(CudaSharedMemoryUnregisterResponse {})
}
