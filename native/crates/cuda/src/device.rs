//! GPUs and their contexts.

use crate::driver::{Driver, RawContext};
use infermesh_wire::Error;
use std::{
    ffi::{CStr, c_char},
    ptr,
    sync::Arc,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// As CUDA counts those that the process may see (CUDA_VISIBLE_DEVICES).
    pub id: i32,
    pub name: String,
    pub memory_bytes: usize,
}

/// How many GPUs this machine has. Fails with UNAVAILABLE where there is no driver.
pub fn device_count() -> Result<i32, Error> {
    let (driver, mut count) = (Driver::open()?, 0);
    // SAFETY: the out-pointer is valid for the call.
    driver.check("cuDeviceGetCount", unsafe { (driver.device_count)(&mut count) })?;
    Ok(count)
}

/// The GPUs of this machine. Fails as `device_count` does.
pub fn devices() -> Result<Vec<Device>, Error> {
    let driver = Driver::open()?;
    (0..device_count()?)
        .map(|id| {
            let handle = handle(driver, id)?;
            let (mut name, mut memory_bytes) = ([0 as c_char; 256], 0);
            // SAFETY: out-pointers are valid for their calls, here and below; the name has the length that is passed.
            let status = unsafe { (driver.device_name)(name.as_mut_ptr(), 256, handle) };
            driver.check("cuDeviceGetName", status)?;
            // SAFETY: as above.
            driver.check("cuDeviceTotalMem", unsafe { (driver.device_memory)(&mut memory_bytes, handle) })?;
            // SAFETY: the driver ends the name with a zero byte within its length.
            let name = unsafe { CStr::from_ptr(name.as_ptr()) }.to_string_lossy().into_owned();
            Ok(Device { id, name, memory_bytes })
        })
        .collect()
}

fn handle(driver: &Driver, id: i32) -> Result<i32, Error> {
    let mut handle = 0;
    // SAFETY: the out-pointer is valid for the call.
    driver.check("cuDeviceGet", unsafe { (driver.device_get)(&mut handle, id) })?;
    Ok(handle)
}

/// A device's primary context, held for as long as this lives.
pub struct Context {
    pub(crate) driver: &'static Driver,
    handle: i32,
    raw: RawContext,
}

// SAFETY: a context may be made current on any thread, and on several at once.
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

impl Context {
    pub fn of(device: i32) -> Result<Arc<Self>, Error> {
        let driver = Driver::open()?;
        let handle = handle(driver, device)?;
        let mut raw = ptr::null_mut();
        // SAFETY: the out-pointer is valid for the call.
        driver.check("cuDevicePrimaryCtxRetain", unsafe { (driver.context_retain)(&mut raw, handle) })?;
        Ok(Arc::new(Self { driver, handle, raw }))
    }

    /// What this thread does with the driver from now on concerns this device.
    pub fn enter(&self) -> Result<(), Error> {
        // SAFETY: the context is retained.
        self.driver.check("cuCtxSetCurrent", unsafe { (self.driver.context_set)(self.raw) })
    }

    /// Does what concerns this device on a thread that has other work, too, and leaves the thread as it was.
    pub fn within<T>(&self, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        // SAFETY: the context is retained.
        self.driver.check("cuCtxPushCurrent", unsafe { (self.driver.context_push)(self.raw) })?;
        let result = work();
        let mut popped = ptr::null_mut();
        // SAFETY: what was pushed above is popped; the out-pointer is valid for the call.
        self.driver.check("cuCtxPopCurrent", unsafe { (self.driver.context_pop)(&mut popped) })?;
        result
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: retained once by us. A failure leaves the context to the end of the process.
        unsafe { (self.driver.context_release)(self.handle) };
    }
}
