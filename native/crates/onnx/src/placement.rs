//! Where the instances of a model run.

use crate::api::Api;
use infermesh_cuda::devices;
use infermesh_wire::{
    Error,
    proto::inference::{ModelConfig, ModelInstanceGroup, model_instance_group::Kind},
};
use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Cpu,
    /// The device's number, as CUDA counts.
    Gpu(i32),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("the CPU"),
            Self::Gpu(device) => write!(f, "GPU {device}"),
        }
    }
}

/// So many instances in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    pub place: Place,
    pub count: usize,
}

/// What this process can use.
pub trait Machine {
    /// Fails with why no model can run on a GPU here.
    fn gpus(&self) -> Result<Vec<i32>, Error>;
}

impl Machine for Api {
    fn gpus(&self) -> Result<Vec<i32>, Error> {
        let providers = self.providers()?;
        if !providers.iter().any(|name| name == "CUDAExecutionProvider") {
            return Err(Error::invalid(format!(
                "the installed ONNX Runtime is one without CUDA (it has {}): install onnxruntime-gpu in its place",
                providers.join(", ")
            )));
        }
        Ok(devices()?.into_iter().map(|device| device.id).collect())
    }
}

/// The instance groups with everything decided that the configuration leaves open: the kind, and the GPUs. One instance,
/// on every GPU if there are any, where it is silent.
///
/// Fails with INVALID_ARGUMENT naming what is asked for and what is there.
pub fn decide(config: &ModelConfig, machine: &dyn Machine) -> Result<Vec<ModelInstanceGroup>, Error> {
    let silent = [ModelInstanceGroup { name: config.name.clone(), ..Default::default() }];
    let groups = if config.instance_group.is_empty() { &silent } else { &config.instance_group[..] };
    let accelerated = config
        .optimization
        .as_ref()
        .and_then(|optimization| optimization.execution_accelerators.as_ref())
        .is_some_and(|accelerators| !accelerators.gpu_execution_accelerator.is_empty());
    let decided = groups.iter().map(|group| {
        let (kind, gpus) = match group.kind() {
            kind @ (Kind::Cpu | Kind::Model) if group.gpus.is_empty() => (kind, Vec::new()),
            Kind::Cpu | Kind::Model => {
                return Err(Error::invalid("instance_group names gpus, but its kind is not KIND_GPU"));
            }
            Kind::Gpu => (Kind::Gpu, gpus(group, machine)?),
            // Who names an accelerator for GPUs wants it used, not passed over in silence.
            Kind::Auto if accelerated => (Kind::Gpu, gpus(group, machine)?),
            Kind::Auto => gpus(group, machine).map_or((Kind::Cpu, Vec::new()), |gpus| (Kind::Gpu, gpus)),
        };
        Ok(ModelInstanceGroup { kind: kind as i32, gpus, count: group.count.max(1), ..group.clone() })
    });
    decided.collect()
}

/// The places of what was decided, in its order.
pub fn placements(groups: &[ModelInstanceGroup]) -> Vec<Placement> {
    let of = |group: &ModelInstanceGroup| {
        let gpus = group.gpus.iter().map(|&gpu| Place::Gpu(gpu));
        let places: Vec<_> = if group.kind() == Kind::Gpu { gpus.collect() } else { vec![Place::Cpu] };
        let count = group.count.max(1) as usize;
        places.into_iter().map(move |place| Placement { place, count })
    };
    groups.iter().flat_map(of).collect()
}

fn gpus(group: &ModelInstanceGroup, machine: &dyn Machine) -> Result<Vec<i32>, Error> {
    let refused =
        |why: String| Error::invalid(format!("instance_group asks for a GPU, which cannot be used: {why}"));
    let there = machine.gpus().map_err(|error| refused(error.message.into_owned()))?;
    if there.is_empty() {
        return Err(refused("this process sees none (CUDA_VISIBLE_DEVICES)".into()));
    }
    if let Some(missing) = group.gpus.iter().find(|gpu| !there.contains(gpu)) {
        return Err(refused(format!("gpus names {missing}, but there are {there:?}")));
    }
    Ok(if group.gpus.is_empty() { there } else { group.gpus.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use infermesh_wire::proto::inference::{
        ModelOptimizationPolicy,
        model_optimization_policy::{ExecutionAccelerators, execution_accelerators::Accelerator},
    };

    struct With(Result<Vec<i32>, &'static str>);

    impl Machine for With {
        fn gpus(&self) -> Result<Vec<i32>, Error> {
            self.0.clone().map_err(Error::invalid)
        }
    }

    fn group(kind: Kind, count: i32, gpus: &[i32]) -> ModelInstanceGroup {
        ModelInstanceGroup { kind: kind as i32, count, gpus: gpus.to_vec(), ..Default::default() }
    }

    fn config(groups: &[ModelInstanceGroup]) -> ModelConfig {
        ModelConfig { instance_group: groups.to_vec(), ..Default::default() }
    }

    fn found(config: &ModelConfig, machine: &With) -> Result<Vec<(Place, usize)>, String> {
        let groups = decide(config, machine).map_err(|error| error.message.into_owned())?;
        Ok(placements(&groups).into_iter().map(|it| (it.place, it.count)).collect())
    }

    #[test]
    fn every_gpu_that_is_named_gets_its_instances() {
        let two = With(Ok(vec![0, 1]));
        let named = config(&[group(Kind::Gpu, 2, &[1]), group(Kind::Cpu, 0, &[])]);
        assert_eq!(found(&named, &two), Ok(vec![(Place::Gpu(1), 2), (Place::Cpu, 1)]));
        let all = config(&[group(Kind::Gpu, 2, &[])]);
        assert_eq!(found(&all, &two), Ok(vec![(Place::Gpu(0), 2), (Place::Gpu(1), 2)]));
    }

    #[test]
    fn where_nothing_is_said_a_gpu_is_used_if_there_is_one() {
        let (one, none) = (With(Ok(vec![0])), With(Err("no driver")));
        let auto = config(&[group(Kind::Auto, 3, &[])]);
        assert_eq!(found(&config(&[]), &one), Ok(vec![(Place::Gpu(0), 1)]));
        assert_eq!(found(&config(&[]), &none), Ok(vec![(Place::Cpu, 1)]));
        assert_eq!(found(&auto, &one), Ok(vec![(Place::Gpu(0), 3)]));
        assert_eq!(found(&auto, &With(Ok(vec![]))), Ok(vec![(Place::Cpu, 3)]));
        assert_eq!(found(&config(&[group(Kind::Model, 2, &[])]), &one), Ok(vec![(Place::Cpu, 2)]));
    }

    #[test]
    fn what_is_not_there_is_refused() {
        let gpu = config(&[group(Kind::Gpu, 1, &[0, 3])]);
        let refused = |why: &str| Err(format!("instance_group asks for a GPU, which cannot be used: {why}"));
        assert_eq!(found(&gpu, &With(Err("no driver"))), refused("no driver"));
        assert_eq!(found(&gpu, &With(Ok(vec![0, 1]))), refused("gpus names 3, but there are [0, 1]"));
        let none = refused("this process sees none (CUDA_VISIBLE_DEVICES)");
        assert_eq!(found(&gpu, &With(Ok(vec![]))), none);
        let cpu = config(&[group(Kind::Cpu, 1, &[0])]);
        let names = "instance_group names gpus, but its kind is not KIND_GPU";
        assert_eq!(found(&cpu, &With(Ok(vec![0]))), Err(names.into()));
    }

    #[test]
    fn an_accelerator_for_gpus_wants_a_gpu() {
        let accelerators = ExecutionAccelerators {
            gpu_execution_accelerator: vec![Accelerator { name: "tensorrt".into(), ..Default::default() }],
            ..Default::default()
        };
        let optimization =
            ModelOptimizationPolicy { execution_accelerators: Some(accelerators), ..Default::default() };
        let wants = ModelConfig { optimization: Some(optimization), ..Default::default() };
        assert!(found(&wants, &With(Err("no driver"))).unwrap_err().ends_with("cannot be used: no driver"));
        assert_eq!(found(&wants, &With(Ok(vec![0]))), Ok(vec![(Place::Gpu(0), 1)]));
    }
}
