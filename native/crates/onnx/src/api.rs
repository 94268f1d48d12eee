//! The C library, opened once per process.

use crate::{fault, said};
use infermesh_wire::Error;
use ort_sys::{ORT_API_VERSION, OrtApi, OrtApiBase, OrtEnv, OrtErrorCode, OrtLoggingLevel, OrtStatusPtr};
use std::{
    error::Error as _,
    ffi::{CStr, CString},
    path::Path,
    ptr,
    sync::{Mutex, PoisonError},
};

/// The function table and the environment that every session shares. Lives as long as the process: ONNX Runtime does
/// not support being unloaded.
#[derive(Clone, Copy)]
pub struct Api {
    pub table: &'static OrtApi,
    pub env: *const OrtEnv,
}

// SAFETY: the table is immutable, and ONNX Runtime documents its environment as usable from any thread.
unsafe impl Send for Api {}
// SAFETY: as above.
unsafe impl Sync for Api {}

static OPENED: Mutex<Option<Api>> = Mutex::new(None);

impl Api {
    /// Opens the library, or returns the one that is open: a process holds one ONNX Runtime.
    pub fn open(library: &Path) -> Result<Self, Error> {
        let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(api) = *opened {
            return Ok(api);
        }
        let api = Self::load(library)?;
        *opened = Some(api);
        Ok(api)
    }

    fn load(path: &Path) -> Result<Self, Error> {
        let shown = path.display();
        // SAFETY: loading runs the library's initialisers; the path names an installed ONNX Runtime.
        let library = unsafe { libloading::Library::new(path) }.map_err(|error| {
            let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
            Error::internal(format!("cannot open ONNX Runtime at {shown}: {cause}"))
        })?;
        let library = Box::leak(Box::new(library));
        // SAFETY: the symbol has this signature in every release of ONNX Runtime.
        let base = unsafe {
            let entry = library
                .get::<unsafe extern "system" fn() -> *const OrtApiBase>(b"OrtGetApiBase\0")
                .map_err(|error| Error::internal(format!("{shown} is not ONNX Runtime: {error}")))?;
            &*entry()
        };
        // SAFETY: both functions are valid in a non-null base; the version string is static.
        let (table, version) =
            unsafe { ((base.GetApi)(ORT_API_VERSION), CStr::from_ptr((base.GetVersionString)())) };
        // SAFETY: a non-null table lives as long as the library, which is never closed.
        let table = unsafe { table.as_ref() }.ok_or_else(|| {
            Error::internal(format!(
                "{shown} is ONNX Runtime {}, need 1.{ORT_API_VERSION} or later",
                version.to_string_lossy()
            ))
        })?;
        let mut env = ptr::null_mut();
        let name = CString::from(c"infermesh");
        let mut threads = ptr::null_mut();
        let api = Self { table, env };
        // SAFETY: the out-pointer is valid for the call; what it gives is used below and released once.
        api.check(unsafe { (table.CreateThreadingOptions)(&mut threads) })?;
        // Threads that spin while they wait take a core from the network's.
        // SAFETY: the options are valid, here and below.
        let mut result = api.check(unsafe { (table.SetGlobalSpinControl)(threads, 0) });
        if result.is_ok() {
            let level = OrtLoggingLevel::ORT_LOGGING_LEVEL_ERROR;
            // SAFETY: out-pointer, name and options are valid for the call.
            result = api.check(unsafe {
                (table.CreateEnvWithCustomLoggerAndGlobalThreadPools)(
                    said::listen,
                    ptr::null_mut(),
                    level,
                    name.as_ptr(),
                    threads,
                    &mut env,
                )
            });
        }
        // SAFETY: ours, released once.
        unsafe { (table.ReleaseThreadingOptions)(threads) };
        result.map(|()| Self { table, env })
    }

    /// Turns a status into a result; INTERNAL with ONNX Runtime's own words.
    pub fn check(&self, status: OrtStatusPtr) -> Result<(), Error> {
        self.read(status).map_or(Ok(()), |(_, message)| Err(Error::internal(message)))
    }

    /// The same, of a call that used a GPU: where the device is lost, the error is fatal.
    pub fn check_on_gpu(&self, status: OrtStatusPtr) -> Result<(), Error> {
        self.read(status).map_or(Ok(()), |(code, message)| Err(fault::error(code, &message)))
    }

    /// Providers that this build of ONNX Runtime has, by its names.
    pub fn providers(&self) -> Result<Vec<String>, Error> {
        let (mut names, mut count) = (ptr::null_mut(), 0);
        // SAFETY: out-pointers are valid for the call.
        self.check(unsafe { (self.table.GetAvailableProviders)(&mut names, &mut count) })?;
        let found = (0..count as usize)
            // SAFETY: so many C strings, which live until released below.
            .map(|index| unsafe { CStr::from_ptr(*names.add(index)) }.to_string_lossy().into_owned())
            .collect();
        // SAFETY: ours, released once.
        self.check(unsafe { (self.table.ReleaseAvailableProviders)(names, count) })?;
        Ok(found)
    }

    /// What went wrong, if anything did. Releases the status.
    fn read(&self, status: OrtStatusPtr) -> Option<(OrtErrorCode, String)> {
        if status.0.is_null() {
            return None;
        }
        // SAFETY: a non-null status is valid until released.
        let code = unsafe { (self.table.GetErrorCode)(status.0) };
        // SAFETY: its message is valid as long as it.
        let message =
            unsafe { CStr::from_ptr((self.table.GetErrorMessage)(status.0)) }.to_string_lossy().into_owned();
        // SAFETY: the status is ours and not used again.
        unsafe { (self.table.ReleaseStatus)(status.0) };
        Some((code, message))
    }
}
