//! The functions of libcuda.so.1, opened once per process.

use crate::{Handle, is_sticky};
use infermesh_wire::{Code, Error};
use std::{
    error::Error as _,
    ffi::{CStr, c_char, c_int, c_uint, c_void},
    ptr,
    sync::OnceLock,
};

pub type RawContext = *mut c_void;
pub type RawStream = *mut c_void;
pub type Address = u64;

macro_rules! functions {
    ($($name:ident = $symbol:literal ($($argument:ty),*);)*) => {
        /// The functions that are used, under short names.
        pub struct Driver {
            $(pub $name: unsafe extern "C" fn($($argument),*) -> c_int,)*
        }

        impl Driver {
            fn find(library: &'static libloading::Library) -> Result<Self, libloading::Error> {
                Ok(Self {
                    // SAFETY: the driver's headers declare each symbol with this signature; it has kept them since.
                    $($name: unsafe { *library.get(concat!($symbol, "\0").as_bytes())? },)*
                })
            }
        }
    };
}

functions! {
    init = "cuInit" (c_uint);
    device_count = "cuDeviceGetCount" (*mut c_int);
    device_get = "cuDeviceGet" (*mut c_int, c_int);
    device_name = "cuDeviceGetName" (*mut c_char, c_int, c_int);
    device_memory = "cuDeviceTotalMem_v2" (*mut usize, c_int);
    context_retain = "cuDevicePrimaryCtxRetain" (*mut RawContext, c_int);
    context_release = "cuDevicePrimaryCtxRelease_v2" (c_int);
    context_set = "cuCtxSetCurrent" (RawContext);
    context_push = "cuCtxPushCurrent_v2" (RawContext);
    context_pop = "cuCtxPopCurrent_v2" (*mut RawContext);
    stream_create = "cuStreamCreate" (*mut RawStream, c_uint);
    stream_destroy = "cuStreamDestroy_v2" (RawStream);
    stream_synchronize = "cuStreamSynchronize" (RawStream);
    memory_allocate = "cuMemAlloc_v2" (*mut Address, usize);
    memory_free = "cuMemFree_v2" (Address);
    memory_range = "cuMemGetAddressRange_v2" (*mut Address, *mut usize, Address);
    shared_open = "cuIpcOpenMemHandle_v2" (*mut Address, Handle, c_uint);
    shared_close = "cuIpcCloseMemHandle" (Address);
    pinned_allocate = "cuMemHostAlloc" (*mut *mut c_void, usize, c_uint);
    pinned_free = "cuMemFreeHost" (*mut c_void);
    copy_in = "cuMemcpyHtoDAsync_v2" (Address, *const c_void, usize, RawStream);
    copy_out = "cuMemcpyDtoHAsync_v2" (*mut c_void, Address, usize, RawStream);
    copy_in_now = "cuMemcpyHtoD_v2" (Address, *const c_void, usize);
    copy_out_now = "cuMemcpyDtoH_v2" (*mut c_void, Address, usize);
    error_text = "cuGetErrorString" (c_int, *mut *const c_char);
}

static OPENED: OnceLock<Result<Driver, String>> = OnceLock::new();

impl Driver {
    /// Opens the driver, or returns the one that is open. Fails with UNAVAILABLE where there is none.
    pub fn open() -> Result<&'static Self, Error> {
        let opened = OPENED.get_or_init(|| Self::load("libcuda.so.1"));
        opened.as_ref().map_err(|reason| Error::new(Code::Unavailable, reason.clone()))
    }

    fn load(name: &str) -> Result<Self, String> {
        let absent = |error: libloading::Error| {
            let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
            format!("no NVIDIA driver is installed here, or it is not usable: {cause}")
        };
        // SAFETY: loading runs the initialisers of NVIDIA's own library.
        let library = unsafe { libloading::Library::new(name) }.map_err(absent)?;
        let driver = Self::find(Box::leak(Box::new(library))).map_err(absent)?;
        // SAFETY: no arguments but flags, which must be 0.
        match unsafe { (driver.init)(0) } {
            0 => Ok(driver),
            number => Err(format!("the NVIDIA driver does not start: {}", driver.describe(number))),
        }
    }

    /// Turns the number that a function returned into a result; INTERNAL, and fatal where it stays with the process.
    pub fn check(&self, what: &str, number: c_int) -> Result<(), Error> {
        if number == 0 {
            return Ok(());
        }
        let message = format!("{what}: CUDA failure {number}: {}", self.describe(number));
        Err(if is_sticky(number) { Error::fatal(message) } else { Error::internal(message) })
    }

    fn describe(&self, number: c_int) -> String {
        let mut text = ptr::null();
        // SAFETY: the out-pointer is valid; the text is static where the number is known.
        let known = unsafe { (self.error_text)(number, &mut text) } == 0 && !text.is_null();
        if !known {
            return format!("error {number}");
        }
        // SAFETY: a C string that the driver never frees.
        unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_a_driver_says_so() {
        let reason = Driver::load("libno-such-driver.so.1").err().unwrap();
        assert!(reason.starts_with("no NVIDIA driver is installed here"), "{reason}");
        assert!(reason.contains("libno-such-driver.so.1"), "{reason}");
    }

    #[test]
    fn a_library_that_is_no_driver_is_refused() {
        let reason = Driver::load("libc.so.6").err().unwrap();
        assert!(reason.contains("cuInit"), "{reason}");
    }
}
