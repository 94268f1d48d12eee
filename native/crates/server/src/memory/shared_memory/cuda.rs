//! GPU memory of another process, through CUDA's driver. The driver is loaded when it is first asked for: the server
//! needs none. Names and signatures as in the CUDA Driver API reference.

use crate::memory::buffers::Buffer;
use bytes::Bytes;
use infermesh_wire::Error;
use libloading::Library;
use std::{
    collections::HashMap,
    ffi::{CStr, c_char, c_int, c_uint, c_void},
    ptr,
    sync::{Mutex, OnceLock, PoisonError},
};

type Status = c_int;
type Device = c_int;
type Pointer = u64;

const LIBRARY: &str = "libcuda.so.1";

const SUCCESS: Status = 0;

const LAZY_ENABLE_PEER_ACCESS: c_uint = 1;

const HANDLE_BYTES: usize = 64;

/// `CUipcMemHandle`, passed by value.
#[repr(C)]
#[derive(Clone, Copy)]
struct Handle([u8; HANDLE_BYTES]);

type Context = *mut c_void;

/// A context of the driver's, never dereferenced here.
struct Retained(Context);

// SAFETY: the driver documents contexts as usable from any thread that makes them current.
unsafe impl Send for Retained {}

macro_rules! driver {
    ($($field:ident = $symbol:literal ($($argument:ty),*);)*) => {
        /// The driver's functions that are used here.
        pub struct Driver {
            $($field: unsafe extern "C" fn($($argument),*) -> Status,)*
            /// Of each device that was used; they stay until the process ends.
            contexts: Mutex<HashMap<Device, Retained>>,
            _library: Library,
        }

        impl Driver {
            /// `None` without a driver, or with one that lacks a function.
            fn load() -> Option<Self> {
                // SAFETY: the system's driver library; loading it has no effects that anything here relies on.
                let library = unsafe { Library::new(LIBRARY) }.ok()?;
                Some(Self {
                    // SAFETY: the signature is that of the reference; the library stays loaded beside the pointer.
                    $($field: *unsafe { library.get($symbol) }.ok()?,)*
                    contexts: Mutex::default(),
                    _library: library,
                })
            }
        }
    };
}

driver! {
    init = b"cuInit\0" (c_uint);
    device_count = b"cuDeviceGetCount\0" (*mut c_int);
    device = b"cuDeviceGet\0" (*mut Device, c_int);
    retain_context = b"cuDevicePrimaryCtxRetain\0" (*mut Context, Device);
    push_context = b"cuCtxPushCurrent_v2\0" (Context);
    pop_context = b"cuCtxPopCurrent_v2\0" (*mut Context);
    open = b"cuIpcOpenMemHandle_v2\0" (*mut Pointer, Handle, c_uint);
    close = b"cuIpcCloseMemHandle\0" (Pointer);
    address_range = b"cuMemGetAddressRange_v2\0" (*mut Pointer, *mut usize, Pointer);
    to_host = b"cuMemcpyDtoH_v2\0" (*mut c_void, Pointer, usize);
    to_device = b"cuMemcpyHtoD_v2\0" (Pointer, *const c_void, usize);
    synchronize = b"cuStreamSynchronize\0" (*mut c_void);
    error_text = b"cuGetErrorString\0" (Status, *mut *const c_char);
}

/// The driver, where there is one and a device for it.
pub fn driver() -> Option<&'static Driver> {
    static DRIVER: OnceLock<Option<Driver>> = OnceLock::new();
    let start = || {
        let driver = Driver::load()?;
        let mut count = 0;
        // SAFETY: cuInit comes before any other call; the out-pointer is valid.
        let ready = unsafe { (driver.init)(0) == SUCCESS && (driver.device_count)(&mut count) == SUCCESS };
        (ready && count > 0).then_some(driver)
    };
    DRIVER.get_or_init(start).as_ref()
}

impl Driver {
    /// Runs `work` with the device's primary context current on this thread, and leaves the thread as it was.
    fn on<T>(&self, device: Device, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        let context = self.context(device)?;
        // SAFETY: the context is retained for good.
        self.check(unsafe { (self.push_context)(context) })?;
        let result = work();
        let mut popped = ptr::null_mut();
        // SAFETY: what was pushed above is popped; the out-pointer is valid.
        self.check(unsafe { (self.pop_context)(&mut popped) })?;
        result
    }

    fn context(&self, ordinal: Device) -> Result<Context, Error> {
        let mut contexts = self.contexts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(context) = contexts.get(&ordinal) {
            return Ok(context.0);
        }
        let (mut device, mut context) = (0, ptr::null_mut());
        // SAFETY: the out-pointers are valid; the driver checks the ordinal.
        self.check(unsafe { (self.device)(&mut device, ordinal) })?;
        // SAFETY: as above.
        self.check(unsafe { (self.retain_context)(&mut context, device) })?;
        contexts.insert(ordinal, Retained(context));
        Ok(context)
    }

    fn check(&self, status: Status) -> Result<(), Error> {
        if status == SUCCESS {
            return Ok(());
        }
        let mut text = ptr::null();
        // SAFETY: the out-pointer is valid; the driver's texts are constants.
        let known = unsafe { (self.error_text)(status, &mut text) } == SUCCESS && !text.is_null();
        // SAFETY: as above.
        let text = known.then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy());
        Err(Error::internal(format!("CUDA error {status}: {}", text.unwrap_or("unknown".into()))))
    }
}

/// An allocation of another process, opened here.
pub struct CudaMemory {
    pub device: Device,
    start: Pointer,
    driver: &'static Driver,
}

impl std::fmt::Debug for CudaMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CudaMemory {{ device: {}, start: {:#x} }}", self.device, self.start)
    }
}

impl CudaMemory {
    /// Opens the first `size` bytes of what a `cudaIpcMemHandle_t` stands for, for the region `name`.
    ///
    /// Fails with INVALID_ARGUMENT if that is no handle, no device of this machine, or shorter.
    pub fn open(
        driver: &'static Driver,
        name: &str,
        handle: &[u8],
        device: i64,
        size: u64,
    ) -> Result<Self, Error> {
        let wrong = |what: String| {
            Error::invalid(format!("failed to register shared memory region '{name}': invalid args: {what}"))
        };
        let handle = handle.try_into().map(Handle).map_err(|_| {
            wrong(format!("raw_handle has {} bytes, a cudaIpcMemHandle_t has {HANDLE_BYTES}", handle.len()))
        })?;
        let device = Device::try_from(device).map_err(|_| wrong(format!("there is no device {device}")))?;
        let mut start = 0;
        let opened = driver.on(device, || {
            // SAFETY: the out-pointer is valid; the driver checks the handle.
            driver.check(unsafe { (driver.open)(&mut start, handle, LAZY_ENABLE_PEER_ACCESS) })
        });
        opened.map_err(|error| wrong(error.message.into_owned()))?;
        // From here on it is closed when it is dropped.
        let memory = Self { device, start, driver };
        let (mut base, mut found) = (0, 0);
        let asked = driver.on(device, || {
            // SAFETY: the out-pointers are valid, and the pointer is an open allocation.
            driver.check(unsafe { (driver.address_range)(&mut base, &mut found, start) })
        });
        asked.map_err(|error| wrong(error.message.into_owned()))?;
        let found = (found as u64).saturating_sub(start - base);
        if size == 0 || size > found {
            return Err(wrong(format!("{size} bytes of an allocation of {found}")));
        }
        Ok(memory)
    }

    /// A copy of `size` bytes from `at`.
    pub fn read(&self, at: usize, size: usize) -> Result<Bytes, Error> {
        let mut copy = Buffer::new(size);
        // SAFETY: the copy is complete when the call returns. It stays within the room, and, as the caller stays within
        // the region, within the allocation.
        unsafe {
            copy.fill(size, |room| {
                self.driver.on(self.device, || {
                    let (to, from) = (room.as_mut_ptr().cast(), self.start + at as u64);
                    self.driver.check((self.driver.to_host)(to, from, size))
                })?;
                Ok::<_, Error>(size)
            })?;
        }
        Ok(copy.freeze())
    }

    /// Writes to the bytes from `at`.
    pub fn write(&self, at: usize, data: &[u8]) -> Result<(), Error> {
        self.driver.on(self.device, || {
            // SAFETY: the caller stays within the region, which the allocation covers.
            self.driver.check(unsafe {
                (self.driver.to_device)(self.start + at as u64, data.as_ptr().cast(), data.len())
            })?;
            // The copy may still be under way, and the client, another process, is about to be told that it is there.
            // SAFETY: the null stream is the context's default stream, which the copy is on.
            self.driver.check(unsafe { (self.driver.synchronize)(ptr::null_mut()) })
        })
    }
}

impl Drop for CudaMemory {
    fn drop(&mut self) {
        // What cannot be closed is gone with its process or device; there is nobody to tell.
        let _ = self.driver.on(self.device, || {
            // SAFETY: opened by this object, closed once.
            self.driver.check(unsafe { (self.driver.close)(self.start) })
        });
    }
}
