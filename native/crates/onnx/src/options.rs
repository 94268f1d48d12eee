//! Session options from a model configuration, under the keys that Triton's onnxruntime backend uses.
//!
//! `parameters`: `intra_op_thread_count`, `inter_op_thread_count`, `execution_mode` (0 sequential, 1 parallel),
//! `enable_mem_arena`, `enable_mem_pattern` (0 or 1), and any ONNX Runtime session entry by its own name
//! (`session.intra_op.allow_spinning`, ...). `optimization.graph.level`: -1 basic, 1 extended, 2 none; all otherwise.
//! `optimization.execution_accelerators` and `instance_group.kind` choose execution providers.

use crate::{
    api::Api,
    background::{create_thread, join_thread},
    said,
};
use infermesh_wire::{
    Error,
    proto::inference::{
        ModelConfig, model_instance_group::Kind,
        model_optimization_policy::execution_accelerators::Accelerator,
    },
};
use ort_sys::{ExecutionMode, GraphOptimizationLevel, OrtSessionOptions, OrtStatusPtr};
use std::{
    collections::{BTreeMap, HashMap},
    ffi::{CString, c_char},
    ptr,
};

/// Parameters that mean something here, besides session entries, which have a dot in their names.
pub const PARAMETERS: [&str; 5] = [
    "intra_op_thread_count",
    "inter_op_thread_count",
    "execution_mode",
    "enable_mem_arena",
    "enable_mem_pattern",
];

pub struct Options {
    api: Api,
    pub raw: *mut OrtSessionOptions,
}

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: ours, released once.
        unsafe { (self.api.table.ReleaseSessionOptions)(self.raw) }
    }
}

impl Options {
    /// Fails with INVALID_ARGUMENT naming a parameter that cannot be used, or with the provider's own error.
    pub fn from_config(api: Api, config: &ModelConfig) -> Result<Self, Error> {
        let mut raw = ptr::null_mut();
        // SAFETY: the out-pointer is valid for the call.
        api.check(unsafe { (api.table.CreateSessionOptions)(&mut raw) })?;
        let options = Self { api, raw };
        options.graph_level(config)?;
        options.threads(config)?;
        // A server's threads share the cores with the network's: one that spins while it waits takes a core away.
        options.entry("session.intra_op.allow_spinning", "0")?;
        options.entry("session.inter_op.allow_spinning", "0")?;
        options.parameters(config)?;
        options.providers(config)?;
        Ok(options)
    }

    /// Models share one pool of threads, unless they say something about their own.
    fn threads(&self, config: &ModelConfig) -> Result<(), Error> {
        let table = self.api.table;
        let own = config.parameters.keys().any(|key| {
            matches!(key.as_str(), "intra_op_thread_count" | "inter_op_thread_count" | "execution_mode")
                || key.starts_with("session.intra_op")
                || key.starts_with("session.inter_op")
        });
        if !own {
            // SAFETY: the options are valid, here and below; the environment has a pool of threads.
            return self.api.check(unsafe { (table.DisablePerSessionThreads)(self.raw) });
        }
        let (create, join) = (Some(create_thread as _), Some(join_thread as _));
        // SAFETY: as above; both functions are static.
        self.api.check(unsafe { (table.SessionOptionsSetCustomCreateThreadFn)(self.raw, create) })?;
        // SAFETY: as above.
        self.api.check(unsafe { (table.SessionOptionsSetCustomJoinThreadFn)(self.raw, join) })
    }

    fn graph_level(&self, config: &ModelConfig) -> Result<(), Error> {
        let level =
            config.optimization.as_ref().and_then(|it| it.graph.as_ref()).map_or(0, |graph| graph.level);
        let level = match level {
            -1 => GraphOptimizationLevel::ORT_ENABLE_BASIC,
            1 => GraphOptimizationLevel::ORT_ENABLE_EXTENDED,
            2 => GraphOptimizationLevel::ORT_DISABLE_ALL,
            _ => GraphOptimizationLevel::ORT_ENABLE_ALL,
        };
        // SAFETY: the options are valid.
        self.api.check(unsafe { (self.api.table.SetSessionGraphOptimizationLevel)(self.raw, level) })
    }

    fn parameters(&self, config: &ModelConfig) -> Result<(), Error> {
        let table = self.api.table;
        for (key, parameter) in config.parameters.iter().collect::<BTreeMap<_, _>>() {
            let value = parameter.string_value.trim();
            let number = || {
                value.parse::<i32>().ok().filter(|number| *number >= 0).ok_or_else(|| {
                    Error::invalid(format!("parameter '{key}' is '{value}', expected a number of at least 0"))
                })
            };
            let status = match key.as_str() {
                // SAFETY: the options are valid, here and in the arms below.
                "intra_op_thread_count" => unsafe { (table.SetIntraOpNumThreads)(self.raw, number()?) },
                // SAFETY: as above.
                "inter_op_thread_count" => unsafe { (table.SetInterOpNumThreads)(self.raw, number()?) },
                "execution_mode" => {
                    let mode = match number()? {
                        0 => ExecutionMode::ORT_SEQUENTIAL,
                        _ => ExecutionMode::ORT_PARALLEL,
                    };
                    // SAFETY: as above.
                    unsafe { (table.SetSessionExecutionMode)(self.raw, mode) }
                }
                "enable_mem_arena" => match number()? {
                    // SAFETY: as above.
                    0 => unsafe { (table.DisableCpuMemArena)(self.raw) },
                    // SAFETY: as above.
                    _ => unsafe { (table.EnableCpuMemArena)(self.raw) },
                },
                "enable_mem_pattern" => match number()? {
                    // SAFETY: as above.
                    0 => unsafe { (table.DisableMemPattern)(self.raw) },
                    // SAFETY: as above.
                    _ => unsafe { (table.EnableMemPattern)(self.raw) },
                },
                key if key.contains('.') => {
                    self.entry(key, value)?;
                    continue;
                }
                // Triton's own for other builds, or anybody's: whoever reads the configuration has named it in a warning.
                key => {
                    debug_assert!(!PARAMETERS.contains(&key), "{key} is said to be known");
                    continue;
                }
            };
            self.api.check(status)?;
        }
        Ok(())
    }

    fn providers(&self, config: &ModelConfig) -> Result<(), Error> {
        let accelerators = config.optimization.as_ref().and_then(|it| it.execution_accelerators.as_ref());
        let wants_gpu = config.instance_group.iter().any(|group| group.kind == Kind::Gpu as i32);
        if let Some(accelerators) = accelerators {
            for accelerator in &accelerators.gpu_execution_accelerator {
                self.provider(accelerator)?;
            }
            for accelerator in &accelerators.cpu_execution_accelerator {
                self.provider(accelerator)?;
            }
        }
        if wants_gpu {
            self.provider(&Accelerator { name: "CUDA".into(), ..Default::default() })?;
        }
        Ok(())
    }

    /// Providers run what they can in the order they are named; the rest falls to the CPU.
    fn provider(&self, accelerator: &Accelerator) -> Result<(), Error> {
        let table = self.api.table;
        let settings = Settings::new(&accelerator.parameters)?;
        let (result, said) = said::during(|| match accelerator.name.to_ascii_lowercase().as_str() {
            "cuda" => self.vendor(
                &settings,
                table.CreateCUDAProviderOptions,
                table.UpdateCUDAProviderOptions,
                table.SessionOptionsAppendExecutionProvider_CUDA_V2,
                table.ReleaseCUDAProviderOptions,
            ),
            "tensorrt" => self.vendor(
                &settings,
                table.CreateTensorRTProviderOptions,
                table.UpdateTensorRTProviderOptions,
                table.SessionOptionsAppendExecutionProvider_TensorRT_V2,
                table.ReleaseTensorRTProviderOptions,
            ),
            "cpu" => Ok(()),
            _ => {
                let name = c_string(&accelerator.name)?;
                let (keys, values, count) = settings.parts();
                // SAFETY: names and arrays are valid for the call.
                self.api.check(unsafe {
                    (table.SessionOptionsAppendExecutionProvider)(
                        self.raw,
                        name.as_ptr(),
                        keys,
                        values,
                        count,
                    )
                })
            }
        });
        result.map_err(|error| {
            let cause = if said.is_empty() { String::new() } else { format!(" ({said})") };
            Error::invalid(format!(
                "execution provider '{}' cannot be used here: {}{cause}",
                accelerator.name, error.message
            ))
        })
    }

    /// A provider whose options are an object of its own type: created, filled in, appended and released.
    fn vendor<T>(
        &self,
        settings: &Settings,
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
        self.api.check(unsafe { create(&mut options) })?;
        let (keys, values, count) = settings.parts();
        // SAFETY: the options were created above, the arrays are valid for the call.
        let mut result = self.api.check(unsafe { update(options, keys, values, count) });
        if result.is_ok() {
            // SAFETY: both objects are valid; the session options copy what they need.
            result = self.api.check(unsafe { append(self.raw, options) });
        }
        // SAFETY: ours, released once.
        unsafe { release(options) };
        result
    }

    fn entry(&self, key: &str, value: &str) -> Result<(), Error> {
        let (key, value) = (c_string(key)?, c_string(value)?);
        // SAFETY: both strings live until the call returns, which copies them.
        self.api
            .check(unsafe { (self.api.table.AddSessionConfigEntry)(self.raw, key.as_ptr(), value.as_ptr()) })
    }
}

/// Keys and values as the C functions take them.
struct Settings {
    _owned: Vec<CString>,
    keys: Vec<*const c_char>,
    values: Vec<*const c_char>,
}

impl Settings {
    fn new(parameters: &HashMap<String, String>) -> Result<Self, Error> {
        let sorted: BTreeMap<_, _> = parameters.iter().collect();
        let (mut owned, mut keys, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for (key, value) in sorted {
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

fn c_string(text: &str) -> Result<CString, Error> {
    CString::new(text).map_err(|_| Error::invalid("the configuration holds a string with a zero byte"))
}
