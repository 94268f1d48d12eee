//! Memory of a device, and pinned memory of the host, which a device copies from and to by itself.

use crate::{Context, driver::Address};
use infermesh_wire::Error;
use std::{
    ffi::c_void,
    ptr,
    sync::{Arc, Mutex, PoisonError},
};

/// CU_MEMHOSTALLOC_PORTABLE: pinned for every device.
const PORTABLE: u32 = 1;

/// The smallest piece of pinned memory, in bytes: pinning takes whole pages anyway.
const SMALLEST: usize = 4096;

/// Pieces that a pool keeps for later.
const KEPT: usize = 64;

pub struct DeviceMemory {
    context: Arc<Context>,
    address: Address,
    bytes: usize,
}

impl DeviceMemory {
    /// At least one byte, so that it has an address.
    pub fn allocate(context: &Arc<Context>, bytes: usize) -> Result<Self, Error> {
        context.enter()?;
        let (driver, mut address) = (context.driver, 0);
        // SAFETY: the out-pointer is valid for the call, and the context is current.
        let status = unsafe { (driver.memory_allocate)(&mut address, bytes.max(1)) };
        driver.check("cuMemAlloc", status)?;
        Ok(Self { context: context.clone(), address, bytes })
    }

    pub fn address(&self) -> Address {
        self.address
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for DeviceMemory {
    fn drop(&mut self) {
        if self.context.enter().is_ok() {
            // SAFETY: ours, freed once.
            unsafe { (self.context.driver.memory_free)(self.address) };
        }
    }
}

/// Pinned memory of the host; page-aligned, and zero at first.
pub struct PinnedMemory {
    context: Arc<Context>,
    start: *mut c_void,
    bytes: usize,
}

// SAFETY: plain memory with one owner.
unsafe impl Send for PinnedMemory {}
// SAFETY: shared access only reads.
unsafe impl Sync for PinnedMemory {}

impl PinnedMemory {
    pub fn allocate(context: &Arc<Context>, bytes: usize) -> Result<Self, Error> {
        context.enter()?;
        let (driver, mut start) = (context.driver, ptr::null_mut());
        // SAFETY: the out-pointer is valid for the call, and the context is current.
        let status = unsafe { (driver.pinned_allocate)(&mut start, bytes.max(1), PORTABLE) };
        driver.check("cuMemHostAlloc", status)?;
        // SAFETY: the memory is ours and has that many bytes.
        unsafe { ptr::write_bytes(start.cast::<u8>(), 0, bytes) };
        Ok(Self { context: context.clone(), start, bytes })
    }

    pub fn bytes(&self) -> &[u8] {
        // SAFETY: initialised above, and borrowed with the owner.
        unsafe { std::slice::from_raw_parts(self.start.cast(), self.bytes) }
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.start.cast(), self.bytes) }
    }
}

impl Drop for PinnedMemory {
    fn drop(&mut self) {
        if self.context.enter().is_ok() {
            // SAFETY: ours, freed once.
            unsafe { (self.context.driver.pinned_free)(self.start) };
        }
    }
}

/// Pinned memory that is used again: to pin it takes longer than to copy into it.
pub struct Pool {
    context: Arc<Context>,
    free: Mutex<Vec<PinnedMemory>>,
}

/// A piece of a pool's, which goes back to it when dropped.
pub struct Block {
    pool: Arc<Pool>,
    memory: Option<PinnedMemory>,
    length: usize,
}

impl Pool {
    pub fn new(context: Arc<Context>) -> Arc<Self> {
        Arc::new(Self { context, free: Mutex::default() })
    }

    /// Room for `length` bytes.
    pub fn take(self: &Arc<Self>, length: usize) -> Result<Block, Error> {
        let found = {
            let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
            let fitting = free.iter().enumerate().filter(|(_, memory)| memory.bytes >= length);
            let smallest = fitting.min_by_key(|(_, memory)| memory.bytes).map(|(index, _)| index);
            smallest.map(|index| free.swap_remove(index))
        };
        let memory = match found {
            Some(memory) => memory,
            None => {
                let bytes = length.max(SMALLEST).checked_next_power_of_two().unwrap_or(length);
                PinnedMemory::allocate(&self.context, bytes)?
            }
        };
        Ok(Block { pool: self.clone(), memory: Some(memory), length })
    }
}

impl Block {
    pub fn start(&mut self) -> *mut u8 {
        self.memory.as_mut().map_or(ptr::null_mut(), |memory| memory.bytes_mut().as_mut_ptr())
    }
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        self.memory.as_ref().map_or(&[], |memory| &memory.bytes()[..self.length])
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let mut free = self.pool.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.extend(self.memory.take());
        // The smallest goes: whatever asks for less can use a larger one.
        let surplus = if free.len() > KEPT {
            let smallest = free.iter().enumerate().min_by_key(|(_, memory)| memory.bytes);
            smallest.map(|(index, _)| index).map(|index| free.swap_remove(index))
        } else {
            None
        };
        drop(free);
        drop(surplus);
    }
}
