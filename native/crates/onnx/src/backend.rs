//! A configured model as the batcher runs it.

use crate::{
    api::Api,
    background,
    describe::{arrange, complete},
    options::Options,
    session::Session,
};
use infermesh_batcher::{Backend, RunIn, Tensor, TensorView};
use infermesh_wire::{Error, proto::inference::ModelConfig};
use std::{path::Path, sync::Arc, time::Duration};

/// How long a session may be run in on the processor, where a first time costs little: it must not delay the start.
const RUN_IN_LIMIT: Duration = Duration::from_millis(500);

/// One version of a model: its completed configuration and its instances.
pub struct Loaded {
    pub config: ModelConfig,
    pub instances: Vec<Box<dyn Backend>>,
}

/// Loads a model file and completes what its configuration leaves out.
///
/// Instances share one session: ONNX Runtime runs it from several threads, and the weights are held once.
/// Fails with what is wrong with the file or the configuration.
pub fn load(library: &Path, path: &Path, config: ModelConfig) -> Result<Loaded, Error> {
    // Here, as it starts the threads that all models share.
    let api = Api::open(library)?;
    let (config, session) = background::run(|| {
        let options = Options::from_config(api, &config)?;
        let mut session = Session::load(api, path, &options)?;
        let config = complete(config, &session)?;
        arrange(&mut session, &config)?;
        Ok((config, Arc::new(session)))
    })?;
    let count: i32 = config.instance_group.iter().map(|group| group.count.max(1)).sum();
    let instances = (0..count)
        .map(|index| Box::new(Instance { session: session.clone(), first: index == 0 }) as Box<dyn Backend>)
        .collect();
    Ok(Loaded { config, instances })
}

struct Instance {
    session: Arc<Session>,
    /// Of those that share the session.
    first: bool,
}

impl Backend for Instance {
    fn run(&mut self, inputs: &[TensorView<'_>]) -> Result<Vec<Tensor>, Error> {
        self.session.run(inputs)
    }

    fn may_run_inline(&self) -> bool {
        true
    }

    fn run_in(&self) -> RunIn {
        if self.first { RunIn::Within(RUN_IN_LIMIT) } else { RunIn::Skip }
    }
}
