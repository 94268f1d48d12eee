//! One version of a model, as the request path sees it.

use super::{
    buckets::buckets, engine::Engine, ensemble::Ensemble, policy::policy, registry::Registry, reshape,
    warm_up::rehearsals,
};
use infermesh_batcher::{
    Backend, Policy, Scheduler, Signature,
    hidden::{Hidden, hidden_inputs, hidden_outputs},
    ragged::{self, Ragged},
    scheduler::OnFatal,
    sequence::Plan,
};
use infermesh_wire::{Code, DataType, Error, Shape, proto::inference::ModelConfig, response::ResponseWriter};
use std::{
    collections::HashMap,
    path::Path,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// An input or output. `shape` includes the batch dimension (-1) where the model batches.
#[derive(Debug, Clone)]
pub struct Port {
    pub name: String,
    pub datatype: DataType,
    pub shape: Shape,
    /// Whether a request may leave this input out.
    pub optional: bool,
    /// What an output's classes are called, by their index; as many as are known.
    pub classes: Vec<String>,
}

static NEXT_CACHE_ID: AtomicU64 = AtomicU64::new(0);

pub struct Version {
    pub name: String,
    pub number: i64,
    pub config: ModelConfig,
    pub inputs: Vec<Port>,
    /// How many inputs a request must have.
    pub required: usize,
    pub outputs: Vec<Port>,
    pub writer: ResponseWriter,
    pub engine: Engine,
    /// Of this load alone, where answers may be given again.
    pub cache_id: Option<u64>,
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
        Self::with_engine(number, config, |config, inputs, outputs| {
            // The backend's own view: clients do not see controls and states.
            let batched = config.max_batch_size > 0;
            let with = |ports: &[Port], hidden: Vec<Hidden>| {
                let hidden = hidden.iter().map(|it| {
                    port(&it.name, it.datatype.to_config() as i32, &it.dims, batched && !it.of_batch)
                });
                ports.iter().cloned().map(Ok).chain(hidden).collect::<Result<Vec<_>, _>>()
            };
            let types = |ports: &[Port]| ports.iter().map(|port| port.datatype).collect();
            let all_inputs = with(inputs, hidden_inputs(config)?)?;
            let all_outputs = with(outputs, hidden_outputs(config)?)?;
            let buckets = buckets(config)?;
            let ragged = ragged::Plan::from_config(config)?;
            let rehearsals = rehearsals(config, &all_inputs, &buckets, ragged.as_ref(), directory)?;
            let signature =
                Signature { inputs: types(&all_inputs), outputs: types(&all_outputs), buckets, ragged };
            let backends = reshape::wrap(config, backends)?;
            let policy = Policy {
                sequences: Plan::from_config(config, directory)?,
                ragged: Ragged::from_config(config),
                ..policy(config)?
            };
            Scheduler::start(&config.name, policy, signature, backends, rehearsals, on_fatal)
                .map(Engine::Scheduler)
        })
    }

    /// A version that other models compute. `config` names, types and shapes every tensor; its members are in `registry`.
    ///
    /// Fails with INVALID_ARGUMENT naming step, model and tensor, or as the registry does for a member that is not there.
    pub fn compose(number: i64, config: ModelConfig, registry: &Registry) -> Result<Self, Error> {
        Self::with_engine(number, config, |config, inputs, outputs| {
            Ensemble::new(config, inputs, outputs, registry).map(Engine::Ensemble)
        })
    }

    fn with_engine(
        number: i64,
        config: ModelConfig,
        engine: impl FnOnce(&ModelConfig, &[Port], &[Port]) -> Result<Engine, Error>,
    ) -> Result<Self, Error> {
        let batched = config.max_batch_size > 0;
        let inputs = config
            .input
            .iter()
            .map(|input| {
                let port = port(&input.name, input.data_type, &input.dims, batched)?;
                Ok(Port { optional: input.optional, ..port })
            })
            .collect::<Result<Vec<_>, Error>>()?;
        let outputs = config
            .output
            .iter()
            .map(|output| port(&output.name, output.data_type, &output.dims, batched))
            .collect::<Result<Vec<_>, _>>()?;
        let engine = engine(&config, &inputs, &outputs)?;
        // The answer to a request of a sequence depends on those before it; a decoupled model has no one answer.
        let repeats = !engine.keeps_sequences() && !is_decoupled(&config);
        let cache_id = (repeats && config.response_cache.is_some_and(|cache| cache.enable))
            .then(|| NEXT_CACHE_ID.fetch_add(1, Relaxed));
        Ok(Self {
            name: config.name.clone(),
            number,
            writer: ResponseWriter::new(&config.name, &number.to_string()),
            required: inputs.iter().filter(|port| !port.optional).count(),
            inputs,
            outputs,
            engine,
            cache_id,
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
        is_decoupled(&self.config)
    }

    /// UNIMPLEMENTED, in the name of the edge that can carry no more than one answer, if the model is decoupled.
    pub fn check_answers_once(&self, edge: &str) -> Result<(), Error> {
        if self.is_decoupled() {
            let message = format!("{edge} doesn't support models with decoupled transaction policy");
            return Err(Error::new(Code::Unimplemented, message));
        }
        Ok(())
    }

    /// Admits nothing more and returns when everything accepted is over.
    pub fn close(&self) {
        self.engine.close();
    }

    /// `None` for an ensemble.
    pub fn scheduler(&self) -> Option<&Scheduler> {
        match &self.engine {
            Engine::Scheduler(scheduler) => Some(scheduler),
            Engine::Ensemble(_) => None,
        }
    }

    /// How the model's requests belong together, where they do.
    pub fn sequences(&self) -> Option<&Plan> {
        self.scheduler()?.policy().sequences.as_ref()
    }

    /// Whether requests belong together here or in a member.
    pub fn keeps_sequences(&self) -> bool {
        self.engine.keeps_sequences()
    }

    pub fn is_batched(&self) -> bool {
        self.config.max_batch_size > 0
    }
}

fn is_decoupled(config: &ModelConfig) -> bool {
    config.model_transaction_policy.is_some_and(|policy| policy.decoupled)
}

fn port(name: &str, data_type: i32, dims: &[i64], batched: bool) -> Result<Port, Error> {
    let datatype = DataType::from_config(data_type)
        .ok_or_else(|| Error::invalid(format!("tensor '{name}' has no data_type in the configuration")))?;
    let batch = batched.then_some(-1);
    Ok(Port {
        name: name.to_owned(),
        datatype,
        shape: batch.into_iter().chain(dims.iter().copied()).collect(),
        optional: false,
        classes: Vec::new(),
    })
}
