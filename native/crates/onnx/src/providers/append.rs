//! Hands a provider and its settings to ONNX Runtime.

use super::{Provider, Settings};
use crate::{api::Api, options::c_string, said};
use infermesh_wire::Error;
use ort_sys::{OrtSessionOptions, OrtStatusPtr};
use std::{
    ffi::{CString, c_char},
    ptr,
};

impl Provider {
    fn name(&self) -> &str {
        match self {
            Self::Cuda(_) => "CUDA",
            Self::TensorRt(_) => "TensorRT",
            Self::Named(name, _) => name,
        }
    }

    /// Fails with INVALID_ARGUMENT and what ONNX Runtime has to say about it.
    pub fn append(&self, api: Api, options: *mut OrtSessionOptions) -> Result<(), Error> {
        let table = api.table;
        let (result, said) = said::during(|| match self {
            Self::Cuda(settings) => vendor(
                api,
                options,
                &Pairs::new(settings)?,
                table.CreateCUDAProviderOptions,
                table.UpdateCUDAProviderOptions,
                table.SessionOptionsAppendExecutionProvider_CUDA_V2,
                table.ReleaseCUDAProviderOptions,
            ),
            Self::TensorRt(settings) => vendor(
                api,
                options,
                &Pairs::new(settings)?,
                table.CreateTensorRTProviderOptions,
                table.UpdateTensorRTProviderOptions,
                table.SessionOptionsAppendExecutionProvider_TensorRT_V2,
                table.ReleaseTensorRTProviderOptions,
            ),
            Self::Named(name, settings) => {
                let (name, pairs) = (c_string(name)?, Pairs::new(settings)?);
                let (keys, values, count) = pairs.parts();
                // SAFETY: names and arrays are valid for the call.
                api.check(unsafe {
                    (table.SessionOptionsAppendExecutionProvider)(options, name.as_ptr(), keys, values, count)
                })
            }
        });
        result.map_err(|error| {
            let cause = if said.is_empty() { String::new() } else { format!(" ({said})") };
            let message = error.message.trim_end();
            Error::invalid(format!(
                "execution provider '{}' cannot be used here: {message}{cause}",
                self.name()
            ))
        })
    }
}

/// A provider whose options are an object of its own type: created, filled in, appended and released.
fn vendor<T>(
    api: Api,
    session: *mut OrtSessionOptions,
    pairs: &Pairs,
    create: unsafe extern "system" fn(*mut *mut T) -> OrtStatusPtr,
    update: unsafe extern "system" fn(
        *mut T,
        *const *const c_char,
        *const *const c_char,
        usize,
    ) -> OrtStatusPtr,
    append: unsafe extern "system" fn(*mut OrtSessionOptions, *const T) -> OrtStatusPtr,
    release: unsafe extern "system" fn(*mut T),
) -> Result<(), Error> {
    let mut options = ptr::null_mut();
    // SAFETY: the out-pointer is valid for the call.
    api.check(unsafe { create(&mut options) })?;
    let (keys, values, count) = pairs.parts();
    // SAFETY: the options were created above, the arrays are valid for the call.
    let mut result = api.check(unsafe { update(options, keys, values, count) });
    if result.is_ok() {
        // SAFETY: both objects are valid; the session options copy what they need.
        result = api.check(unsafe { append(session, options) });
    }
    // SAFETY: ours, released once.
    unsafe { release(options) };
    result
}

/// Keys and values as the C functions take them.
struct Pairs {
    _owned: Vec<CString>,
    keys: Vec<*const c_char>,
    values: Vec<*const c_char>,
}

impl Pairs {
    fn new(settings: &Settings) -> Result<Self, Error> {
        let (mut owned, mut keys, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for (key, value) in settings {
            let (key, value) = (c_string(key)?, c_string(value)?);
            keys.push(key.as_ptr());
            values.push(value.as_ptr());
            owned.extend([key, value]);
        }
        Ok(Self { _owned: owned, keys, values })
    }

    fn parts(&self) -> (*const *const c_char, *const *const c_char, usize) {
        (self.keys.as_ptr(), self.values.as_ptr(), self.keys.len())
    }
}
