//! One version of a model, as the request path sees it.

use crate::{buckets::buckets, reshape, warm_up::rehearsals};
use infermesh_batcher::{
    Backend, Policy, Scheduler, Signature,
    queue::DEFAULT_MAX_QUEUE_SIZE,
    scheduler::OnFatal,
    sequence::{Hidden, Plan, hidden_inputs, hidden_outputs},
};
use infermesh_wire::{
    Code, DataType, Error, Shape,
    proto::inference::{ModelConfig, model_config::SchedulingChoice, model_queue_policy::TimeoutAction},
    response::ResponseWriter,
};
use std::{collections::HashMap, path::Path, time::Duration};

/// An input or output. `shape` includes the batch dimension (-1) where the model batches.
#[derive(Debug, Clone)]
pub struct Port {
    pub name: String,
    pub datatype: DataType,
    pub shape: Shape,
    /// What an output's classes are called, by their index; as many as are known.
    pub classes: Vec<String>,
}

pub struct Version {
    pub name: String,
    pub number: i64,
    pub config: ModelConfig,
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
    pub writer: ResponseWriter,
    pub scheduler: Scheduler,
}

impl Version {
    /// Puts a loaded model behind a scheduler. `config` is complete: every tensor is named, typed and shaped.
    /// `directory` is the model's, with the files that its warm-up names; `on_fatal` is told of the error after which it
    /// cannot be used any more. Returns when every instance is warm.
    ///
    /// Fails with INVALID_ARGUMENT naming what in the configuration cannot be served, and if its warm-up fails.
    pub fn start(
        number: i64,
        config: ModelConfig,
        backends: Vec<Box<dyn Backend>>,
        directory: &Path,
        on_fatal: OnFatal,
    ) -> Result<Self, Error> {
        let batched = config.max_batch_size > 0;
        let inputs = config
            .input
            .iter()
            .map(|input| port(&input.name, input.data_type, &input.dims, batched))
            .collect::<Result<Vec<_>, _>>()?;
        let outputs = config
            .output
            .iter()
            .map(|output| port(&output.name, output.data_type, &output.dims, batched))
            .collect::<Result<Vec<_>, _>>()?;
        // The backend's own view: clients do not see controls and states.
        let with = |ports: &[Port], hidden: Vec<Hidden>| {
            let hidden =
                hidden.iter().map(|it| port(&it.name, it.datatype.to_config() as i32, &it.dims, batched));
            ports.iter().cloned().map(Ok).chain(hidden).collect::<Result<Vec<_>, _>>()
        };
        let types = |ports: &[Port]| ports.iter().map(|port| port.datatype).collect();
        let all_inputs = with(&inputs, hidden_inputs(&config)?)?;
        let all_outputs = with(&outputs, hidden_outputs(&config)?)?;
        let buckets = buckets(&config)?;
        let rehearsals = rehearsals(&config, &all_inputs, &buckets, directory)?;
        let signature = Signature { inputs: types(&all_inputs), outputs: types(&all_outputs), buckets };
        let backends = reshape::wrap(&config, backends)?;
        let policy = Policy { sequences: Plan::from_config(&config, directory)?, ..policy(&config)? };
        let scheduler = Scheduler::start(&config.name, policy, signature, backends, rehearsals, on_fatal)?;
        Ok(Self {
            name: config.name.clone(),
            number,
            writer: ResponseWriter::new(&config.name, &number.to_string()),
            inputs,
            outputs,
            scheduler,
            config,
        })
    }

    /// Names the classes of outputs, by the outputs' names.
    pub fn with_classes(mut self, mut classes: HashMap<String, Vec<String>>) -> Self {
        for port in &mut self.outputs {
            port.classes = classes.remove(&port.name).unwrap_or_default();
        }
        self
    }

    /// Whether a request has any number of answers, each sent as soon as it is there.
    pub fn is_decoupled(&self) -> bool {
        self.config.model_transaction_policy.is_some_and(|policy| policy.decoupled)
    }

    /// UNIMPLEMENTED, in the name of the edge that can carry no more than one answer, if the model is decoupled.
    pub fn check_answers_once(&self, edge: &str) -> Result<(), Error> {
        if self.is_decoupled() {
            let message = format!("{edge} doesn't support models with decoupled transaction policy");
            return Err(Error::new(Code::Unimplemented, message));
        }
        Ok(())
    }

    /// How the model's requests belong together, where they do.
    pub fn sequences(&self) -> Option<&Plan> {
        self.scheduler.policy().sequences.as_ref()
    }

    pub fn is_batched(&self) -> bool {
        self.config.max_batch_size > 0
    }
}

fn port(name: &str, data_type: i32, dims: &[i64], batched: bool) -> Result<Port, Error> {
    let datatype = DataType::from_config(data_type)
        .ok_or_else(|| Error::invalid(format!("tensor '{name}' has no data_type in the configuration")))?;
    let batch = batched.then_some(-1);
    Ok(Port {
        name: name.to_owned(),
        datatype,
        shape: batch.into_iter().chain(dims.iter().copied()).collect(),
        classes: Vec::new(),
    })
}

fn policy(config: &ModelConfig) -> Result<Policy, Error> {
    let max_batch_size = usize::try_from(config.max_batch_size).map_err(|_| {
        Error::invalid(format!("max_batch_size is {}, expected 0 or more", config.max_batch_size))
    })?;
    let plain = Policy { max_batch_size, ..Policy::default() };
    // Answers of a request that come one by one cannot be split from those of another.
    let combines =
        max_batch_size > 0 && !config.model_transaction_policy.is_some_and(|policy| policy.decoupled);
    match &config.scheduling_choice {
        None => Ok(plain),
        Some(SchedulingChoice::DynamicBatching(dynamic)) => {
            let mut preferred_batch_sizes = dynamic
                .preferred_batch_size
                .iter()
                .map(|&size| usize::try_from(size).ok().filter(|size| (1..=max_batch_size).contains(size)).ok_or(size))
                .collect::<Result<Vec<_>, _>>()
                .map_err(|size| {
                    Error::invalid(format!(
                        "preferred_batch_size {size} is not between 1 and max_batch_size, which is {max_batch_size}"
                    ))
                })?;
            preferred_batch_sizes.sort_unstable();
            let queue = dynamic.default_queue_policy.unwrap_or_default();
            if queue.timeout_action == TimeoutAction::Delay as i32 {
                return Err(Error::invalid("timeout_action DELAY of a queue policy is not supported yet"));
            }
            let limit = queue.max_queue_size as usize;
            Ok(Policy {
                dynamic: combines,
                preferred_batch_sizes,
                max_queue_delay: Duration::from_micros(dynamic.max_queue_delay_microseconds),
                timeout: match queue.default_timeout_microseconds {
                    0 => None,
                    micros => Some(Duration::from_micros(micros)),
                },
                allow_timeout_override: queue.allow_timeout_override,
                max_queue_size: if limit > 0 { limit } else { DEFAULT_MAX_QUEUE_SIZE },
                ..plain
            })
        }
        // Its sequences form the batches; a request may say how long it waits.
        Some(SchedulingChoice::SequenceBatching(_)) => Ok(Policy { allow_timeout_override: true, ..plain }),
        Some(SchedulingChoice::EnsembleScheduling(_)) => {
            Err(Error::invalid("ensemble_scheduling is not supported yet"))
        }
    }
}
