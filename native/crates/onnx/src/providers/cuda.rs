//! Settings of the CUDA provider, from the parameters that Triton's onnxruntime backend has for it.

use super::Settings;
use infermesh_wire::{Error, proto::inference::ModelConfig};

/// Parameters of a model that are settings of this provider.
pub const PARAMETERS: [&str; 4] =
    ["cudnn_conv_algo_search", "gpu_mem_limit", "arena_extend_strategy", "do_copy_in_default_stream"];

/// Whether batches are to run as CUDA graphs.
pub fn wants_graphs(config: &ModelConfig) -> bool {
    config.optimization.as_ref().and_then(|it| it.cuda.as_ref()).is_some_and(|cuda| cuda.graphs)
}

pub fn settings(config: &ModelConfig, device: i32) -> Result<Settings, Error> {
    let mut settings = Settings::from([("device_id".to_owned(), device.to_string())]);
    for key in PARAMETERS {
        let Some(parameter) = config.parameters.get(key) else { continue };
        let given = parameter.string_value.trim();
        let wrong =
            |expected: &str| Error::invalid(format!("parameter '{key}' is '{given}', expected {expected}"));
        let value = match (key, given) {
            ("arena_extend_strategy", "0") => "kNextPowerOfTwo",
            ("arena_extend_strategy", "1") => "kSameAsRequested",
            ("arena_extend_strategy", _) => return Err(wrong("0 (next power of two) or 1 (as requested)")),
            ("cudnn_conv_algo_search", "0") => "EXHAUSTIVE",
            ("cudnn_conv_algo_search", "1") => "HEURISTIC",
            ("cudnn_conv_algo_search", "2") => "DEFAULT",
            ("cudnn_conv_algo_search", _) => {
                return Err(wrong("0 (exhaustive), 1 (heuristic) or 2 (default)"));
            }
            ("gpu_mem_limit", bytes) if bytes.parse::<u64>().is_ok() => bytes,
            ("gpu_mem_limit", _) => return Err(wrong("a number of bytes")),
            ("do_copy_in_default_stream", "0" | "1") => given,
            _ => return Err(wrong("0 or 1")),
        };
        settings.insert(key.to_owned(), value.to_owned());
    }
    if wants_graphs(config) {
        settings.insert("enable_cuda_graph".to_owned(), "1".to_owned());
    }
    Ok(settings)
}
