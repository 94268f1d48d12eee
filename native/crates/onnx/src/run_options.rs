//! What is asked of each run, rather than of the session.

use crate::{api::Api, options::c_string};
use infermesh_wire::{Error, proto::inference::ModelConfig};
use ort_sys::OrtRunOptions;
use std::ptr;

/// Arenas that give back what they can after each run: "gpu:0;cpu:0".
pub const SHRINKAGE: &str = "memory.enable_memory_arena_shrinkage";

/// Which of the session's CUDA graphs a run is, or becomes.
const GRAPH: &str = "gpu_graph_id";

pub struct RunOptions {
    api: Api,
    pub raw: *mut OrtRunOptions,
}

// SAFETY: once made they are only read, which ONNX Runtime does from any thread.
unsafe impl Send for RunOptions {}
// SAFETY: as above.
unsafe impl Sync for RunOptions {}

impl RunOptions {
    pub fn new(api: Api, config: &ModelConfig) -> Result<Self, Error> {
        let mut raw = ptr::null_mut();
        // SAFETY: the out-pointer is valid for the call.
        api.check(unsafe { (api.table.CreateRunOptions)(&mut raw) })?;
        let options = Self { api, raw };
        if let Some(arenas) = config.parameters.get(SHRINKAGE) {
            options.set(SHRINKAGE, checked(arenas.string_value.trim())?)?;
        }
        Ok(options)
    }

    /// The same, for one graph.
    pub fn of_graph(api: Api, config: &ModelConfig, graph: usize) -> Result<Self, Error> {
        let options = Self::new(api, config)?;
        options.set(GRAPH, &graph.to_string())?;
        Ok(options)
    }

    fn set(&self, key: &str, value: &str) -> Result<(), Error> {
        let (key, value) = (c_string(key)?, c_string(value)?);
        // SAFETY: both strings live until the call returns, which copies them.
        self.api.check(unsafe { (self.api.table.AddRunConfigEntry)(self.raw, key.as_ptr(), value.as_ptr()) })
    }
}

/// ONNX Runtime itself would say so only in every single run.
fn checked(arenas: &str) -> Result<&str, Error> {
    let is_arena = |arena: &str| match arena.split_once(':') {
        Some(("cpu" | "gpu", device)) => device.parse::<u16>().is_ok(),
        _ => false,
    };
    if arenas.split(';').all(is_arena) {
        return Ok(arenas);
    }
    Err(Error::invalid(format!("parameter '{SHRINKAGE}' is '{arenas}', expected arenas such as gpu:0;cpu:0")))
}

impl Drop for RunOptions {
    fn drop(&mut self) {
        // SAFETY: ours, released once.
        unsafe { (self.api.table.ReleaseRunOptions)(self.raw) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arenas_are_a_device_and_its_number() {
        assert!(["cpu:0", "gpu:1", "gpu:0;cpu:0"].into_iter().all(|arenas| checked(arenas).is_ok()));
        assert!(["", "gpu", "gpu:", "tpu:0", "gpu:0;", "gpu:-1"].into_iter().all(|it| checked(it).is_err()));
        let message =
            "parameter 'memory.enable_memory_arena_shrinkage' is 'gpu', expected arenas such as gpu:0;cpu:0";
        assert_eq!(checked("gpu").unwrap_err().message, message);
    }
}
