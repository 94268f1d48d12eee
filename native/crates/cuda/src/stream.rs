//! An order of copies that the device works off beside whatever else it does.

use crate::{
    Context, DeviceMemory,
    driver::{Address, RawStream},
};
use infermesh_wire::Error;
use std::{ptr, sync::Arc};

/// CU_STREAM_NON_BLOCKING: it does not wait for the default stream, nor that for it.
const NON_BLOCKING: u32 = 1;

pub struct Stream {
    context: Arc<Context>,
    raw: RawStream,
}

// SAFETY: a stream may be used from any thread; `&mut self` keeps that to one at a time.
unsafe impl Send for Stream {}

impl Stream {
    pub fn new(context: &Arc<Context>) -> Result<Self, Error> {
        context.enter()?;
        let (driver, mut raw) = (context.driver, ptr::null_mut());
        // SAFETY: the out-pointer is valid for the call, and the context is current.
        driver.check("cuStreamCreate", unsafe { (driver.stream_create)(&mut raw, NON_BLOCKING) })?;
        Ok(Self { context: context.clone(), raw })
    }

    /// Starts a copy to the device. `from` may change once this is synchronized.
    ///
    /// # Safety
    /// `from` stays where it is until then.
    pub unsafe fn copy_in(&mut self, from: &[u8], to: &DeviceMemory) -> Result<(), Error> {
        assert!(from.len() <= to.bytes(), "a copy beyond the memory");
        if from.is_empty() {
            return Ok(());
        }
        let driver = self.context.driver;
        // SAFETY: both sides have that many bytes; the caller keeps the source.
        let status = unsafe { (driver.copy_in)(to.address(), from.as_ptr().cast(), from.len(), self.raw) };
        driver.check("cuMemcpyHtoDAsync", status)
    }

    /// Starts a copy from the device, to `bytes` bytes at `to`, which hold what was copied once this is synchronized.
    ///
    /// # Safety
    /// `from` is an address on this stream's device with that many bytes, `to` memory of the host with room for them;
    /// both stay until then.
    pub unsafe fn copy_out(&mut self, from: Address, to: *mut u8, bytes: usize) -> Result<(), Error> {
        if bytes == 0 {
            return Ok(());
        }
        let driver = self.context.driver;
        // SAFETY: as promised by the caller.
        driver.check("cuMemcpyDtoHAsync", unsafe { (driver.copy_out)(to.cast(), from, bytes, self.raw) })
    }

    /// Waits until everything that was started is done. Any failure of the device shows up here at the latest.
    pub fn synchronize(&mut self) -> Result<(), Error> {
        let driver = self.context.driver;
        // SAFETY: the stream is valid.
        driver.check("cuStreamSynchronize", unsafe { (driver.stream_synchronize)(self.raw) })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.context.enter().is_ok() {
            // SAFETY: ours, destroyed once; the device finishes what was started.
            unsafe { (self.context.driver.stream_destroy)(self.raw) };
        }
    }
}
