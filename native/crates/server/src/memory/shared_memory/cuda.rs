//! GPU memory of another process, copied by CUDA's driver.

use crate::memory::buffers::Buffer;
use bytes::Bytes;
use infermesh_cuda::{Context, Handle, SharedMemory, device_count};
use infermesh_wire::Error;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

/// Whether there is a driver, and a device for it.
pub fn is_there() -> bool {
    static THERE: OnceLock<bool> = OnceLock::new();
    *THERE.get_or_init(|| device_count().is_ok_and(|count| count > 0))
}

/// An allocation of another process, opened here.
pub struct CudaMemory {
    pub device: i32,
    memory: SharedMemory,
}

impl std::fmt::Debug for CudaMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CudaMemory {{ device: {}, bytes: {} }}", self.device, self.memory.bytes())
    }
}

impl CudaMemory {
    /// Opens the first `size` bytes of what a `cudaIpcMemHandle_t` stands for, for the region `name`.
    ///
    /// Fails with INVALID_ARGUMENT if that is no handle, no device of this machine, or shorter.
    pub fn open(name: &str, handle: &[u8], device: i64, size: u64) -> Result<Self, Error> {
        let wrong = |what: String| {
            Error::invalid(format!("failed to register shared memory region '{name}': invalid args: {what}"))
        };
        let handle = handle.try_into().map(Handle).map_err(|_| {
            wrong(format!(
                "raw_handle has {} bytes, a cudaIpcMemHandle_t has {}",
                handle.len(),
                Handle::BYTES
            ))
        })?;
        let device = i32::try_from(device).map_err(|_| wrong(format!("there is no device {device}")))?;
        let memory = context(device).and_then(|context| SharedMemory::open(&context, handle));
        let memory = memory.map_err(|error| wrong(error.message.into_owned()))?;
        let found = memory.bytes() as u64;
        if size == 0 || size > found {
            return Err(wrong(format!("{size} bytes of an allocation of {found}")));
        }
        Ok(Self { device, memory })
    }

    /// A copy of `size` bytes from `at`.
    pub fn read(&self, at: usize, size: usize) -> Result<Bytes, Error> {
        let mut copy = Buffer::new(size);
        // SAFETY: all of the room is initialised when the copy returns.
        unsafe { copy.fill(size, |room| self.memory.read(at, room).map(|()| size))? };
        Ok(copy.freeze())
    }

    /// Writes to the bytes from `at`.
    pub fn write(&self, at: usize, data: &[u8]) -> Result<(), Error> {
        self.memory.write(at, data)
    }
}

/// A device's context. It stays until the process ends: to make one takes a second, and clients come and go.
fn context(device: i32) -> Result<Arc<Context>, Error> {
    static KEPT: Mutex<BTreeMap<i32, Arc<Context>>> = Mutex::new(BTreeMap::new());
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(context) = kept.get(&device) {
        return Ok(context.clone());
    }
    let context = Context::of(device)?;
    kept.insert(device, context.clone());
    Ok(context)
}
