//! Memory of another process, opened here by the handle that stands for it.

use crate::{Context, driver::Address};
use infermesh_wire::Error;
use std::{mem::MaybeUninit, ptr, sync::Arc};

/// CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS, the one flag there is.
const LAZY_ENABLE_PEER_ACCESS: u32 = 1;

/// `CUipcMemHandle`, which the runtime's `cudaIpcMemHandle_t` is too. Passed by value.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Handle(pub [u8; Handle::BYTES]);

impl Handle {
    pub const BYTES: usize = 64;
}

/// An allocation of another process. Its copies are done when they return.
pub struct SharedMemory {
    context: Arc<Context>,
    address: Address,
    bytes: usize,
}

impl SharedMemory {
    /// Fails if the handle stands for nothing on the context's device.
    pub fn open(context: &Arc<Context>, handle: Handle) -> Result<Self, Error> {
        context.within(|| {
            let (driver, mut address) = (context.driver, 0);
            // SAFETY: the out-pointer is valid for the call, and the context is current; the driver checks the handle.
            let status = unsafe { (driver.shared_open)(&mut address, handle, LAZY_ENABLE_PEER_ACCESS) };
            driver.check("cuIpcOpenMemHandle", status)?;
            // From here on it is closed when it is dropped.
            let mut memory = Self { context: context.clone(), address, bytes: 0 };
            let (mut base, mut bytes) = (0, 0);
            // SAFETY: the out-pointers are valid for the call, and the address is in an open allocation.
            let status = unsafe { (driver.memory_range)(&mut base, &mut bytes, address) };
            driver.check("cuMemGetAddressRange", status)?;
            memory.bytes = bytes.saturating_sub((address - base) as usize);
            Ok(memory)
        })
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Initialises all of `to` with the bytes from `at`.
    pub fn read(&self, at: usize, to: &mut [MaybeUninit<u8>]) -> Result<(), Error> {
        self.check(at, to.len());
        self.context.within(|| {
            let driver = self.context.driver;
            // SAFETY: both sides have that many bytes.
            let status =
                unsafe { (driver.copy_out_now)(to.as_mut_ptr().cast(), self.address + at as u64, to.len()) };
            driver.check("cuMemcpyDtoH", status)
        })
    }

    /// Writes to the bytes from `at`.
    pub fn write(&self, at: usize, from: &[u8]) -> Result<(), Error> {
        self.check(at, from.len());
        self.context.within(|| {
            let driver = self.context.driver;
            // SAFETY: both sides have that many bytes.
            let status =
                unsafe { (driver.copy_in_now)(self.address + at as u64, from.as_ptr().cast(), from.len()) };
            driver.check("cuMemcpyHtoD", status)?;
            // The copy may still be under way to the device, and the other process is about to be told that it is there.
            // SAFETY: the null stream is the context's default stream, which the copy is on.
            let status = unsafe { (driver.stream_synchronize)(ptr::null_mut()) };
            driver.check("cuStreamSynchronize", status)
        })
    }

    fn check(&self, at: usize, bytes: usize) {
        assert!(at.checked_add(bytes).is_some_and(|end| end <= self.bytes), "a copy beyond the memory");
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // What cannot be closed is gone with its process or device; there is nobody to tell.
        let _ = self.context.within(|| {
            let driver = self.context.driver;
            // SAFETY: opened by this object, closed once.
            driver.check("cuIpcCloseMemHandle", unsafe { (driver.shared_close)(self.address) })
        });
    }
}
