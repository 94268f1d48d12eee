//! Execution providers of a session: which, with what settings, in which order. Each runs what it can; the rest falls to
//! the next, and in the end to the CPU.

mod append;
pub mod cuda;
mod tensorrt;

use crate::placement::Place;
use infermesh_wire::{
    Error,
    proto::inference::{ModelConfig, model_optimization_policy::execution_accelerators::Accelerator},
};
use std::collections::BTreeMap;

/// By ONNX Runtime's names, in the order in which they are set.
pub type Settings = BTreeMap<String, String>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provider {
    Cuda(Settings),
    TensorRt(Settings),
    /// By a name that ONNX Runtime knows.
    Named(String, Settings),
}

/// Fails with INVALID_ARGUMENT naming a setting that cannot be understood.
pub fn providers(config: &ModelConfig, place: Place) -> Result<Vec<Provider>, Error> {
    let accelerators = config.optimization.as_ref().and_then(|it| it.execution_accelerators.as_ref());
    let device = match place {
        Place::Cpu => {
            let named = accelerators.map_or(&[][..], |it| &it.cpu_execution_accelerator);
            let named = named.iter().filter(|accelerator| !accelerator.name.eq_ignore_ascii_case("cpu"));
            return Ok(named
                .map(|accelerator| Provider::Named(accelerator.name.clone(), settings(accelerator)))
                .collect());
        }
        Place::Gpu(device) => device,
    };
    let mut cuda = cuda::settings(config, device)?;
    let mut providers = Vec::new();
    for accelerator in accelerators.map_or(&[][..], |it| &it.gpu_execution_accelerator) {
        let given = settings(accelerator);
        match accelerator.name.to_ascii_lowercase().as_str() {
            "tensorrt" => providers.push(Provider::TensorRt(tensorrt::settings(given, device)?)),
            // CUDA comes last in any case; here it is only given settings.
            "cuda" => cuda.extend(given),
            _ => providers.push(Provider::Named(accelerator.name.clone(), given)),
        }
    }
    providers.push(Provider::Cuda(cuda));
    Ok(providers)
}

fn settings(accelerator: &Accelerator) -> Settings {
    accelerator.parameters.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use infermesh_wire::proto::inference::{
        ModelOptimizationPolicy, ModelParameter,
        model_optimization_policy::{Cuda, ExecutionAccelerators},
    };

    fn accelerator(name: &str, parameters: &[(&str, &str)]) -> Accelerator {
        let parameters = parameters.iter().map(|(key, value)| (key.to_string(), value.to_string()));
        Accelerator { name: name.into(), parameters: parameters.collect() }
    }

    fn config(gpu: &[Accelerator], graphs: bool, parameters: &[(&str, &str)]) -> ModelConfig {
        let accelerators =
            ExecutionAccelerators { gpu_execution_accelerator: gpu.to_vec(), ..Default::default() };
        ModelConfig {
            optimization: Some(ModelOptimizationPolicy {
                execution_accelerators: Some(accelerators),
                cuda: Some(Cuda { graphs, ..Default::default() }),
                ..Default::default()
            }),
            parameters: parameters
                .iter()
                .map(|(key, value)| (key.to_string(), ModelParameter { string_value: value.to_string() }))
                .collect(),
            ..Default::default()
        }
    }

    fn set(pairs: &[(&str, &str)]) -> Settings {
        pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    #[test]
    fn a_session_on_a_gpu_has_cuda_in_the_end() {
        let wanted = config(
            &[accelerator("tensorrt", &[("precision_mode", "FP16")])],
            true,
            &[("gpu_mem_limit", "1000"), ("arena_extend_strategy", "1"), ("cudnn_conv_algo_search", "0")],
        );
        let found = providers(&wanted, Place::Gpu(1)).unwrap();
        let cuda = set(&[
            ("arena_extend_strategy", "kSameAsRequested"),
            ("cudnn_conv_algo_search", "EXHAUSTIVE"),
            ("device_id", "1"),
            ("enable_cuda_graph", "1"),
            ("gpu_mem_limit", "1000"),
        ]);
        let tensorrt = set(&[("device_id", "1"), ("trt_fp16_enable", "1")]);
        assert_eq!(found, [Provider::TensorRt(tensorrt), Provider::Cuda(cuda)]);
    }

    #[test]
    fn an_accelerator_named_cuda_is_settings() {
        let wanted = config(&[accelerator("CUDA", &[("use_tf32", "0")])], false, &[]);
        let cuda = set(&[("device_id", "0"), ("use_tf32", "0")]);
        assert_eq!(providers(&wanted, Place::Gpu(0)).unwrap(), [Provider::Cuda(cuda)]);
    }

    #[test]
    fn a_session_on_the_cpu_has_none_of_them() {
        let mut wanted = config(&[accelerator("tensorrt", &[])], true, &[("gpu_mem_limit", "1")]);
        assert_eq!(providers(&wanted, Place::Cpu).unwrap(), []);
        let accelerators =
            wanted.optimization.as_mut().and_then(|it| it.execution_accelerators.as_mut()).unwrap();
        accelerators.cpu_execution_accelerator =
            vec![accelerator("cpu", &[]), accelerator("openvino", &[("a", "b")])];
        let named = Provider::Named("openvino".into(), set(&[("a", "b")]));
        assert_eq!(providers(&wanted, Place::Cpu).unwrap(), [named]);
    }

    #[test]
    fn settings_that_are_none_are_named() {
        let refused = |key: &str, value: &str| {
            let error = providers(&config(&[], false, &[(key, value)]), Place::Gpu(0)).unwrap_err();
            error.message.into_owned()
        };
        let message = "parameter 'gpu_mem_limit' is 'much', expected a number of bytes";
        assert_eq!(refused("gpu_mem_limit", "much"), message);
        assert_eq!(
            refused("arena_extend_strategy", "7"),
            "parameter 'arena_extend_strategy' is '7', expected 0 (next power of two) or 1 (as requested)"
        );
        assert!(refused("cudnn_conv_algo_search", "x").contains("expected 0 (exhaustive)"));
        let precision = config(&[accelerator("tensorrt", &[("precision_mode", "FP8")])], false, &[]);
        let error = providers(&precision, Place::Gpu(0)).unwrap_err();
        assert_eq!(error.message, "precision_mode of tensorrt is 'FP8', expected FP32, FP16 or INT8");
    }
}
