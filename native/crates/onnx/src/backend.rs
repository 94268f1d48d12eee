//! A configured model as the batcher runs it.

use crate::{
    api::Api,
    describe::complete,
    gpu,
    options::Options,
    placement::{Place, decide, placements},
    providers::cuda::wants_graphs,
    run_options::RunOptions,
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
/// Instances in one place share one session: ONNX Runtime runs it from several threads, and the weights are held once.
/// With CUDA graphs each has its own, since a session captures for one thread.
/// Fails with what is wrong with the file or the configuration, or with what this machine lacks for it.
pub fn load(library: &Path, path: &Path, mut config: ModelConfig) -> Result<Loaded, Error> {
    let api = Api::open(library)?;
    config.instance_group = decide(&config, &api)?;
    let placements = placements(&config.instance_group);
    let graphs = wants_graphs(&config);
    if graphs && placements.iter().all(|placement| placement.place == Place::Cpu) {
        return Err(Error::invalid(
            "optimization.cuda.graphs asks for CUDA graphs, but no instance is on a GPU (instance_group.kind: KIND_GPU)",
        ));
    }
    let mut sessions = Sessions { api, path, given: config.clone(), made: Vec::new() };
    let first = placements.first().map_or(Place::Cpu, |placement| placement.place);
    let config = complete(config, &*sessions.at(first)?)?;

    let options = Arc::new(RunOptions::new(api, &config)?);
    let mut instances: Vec<Box<dyn Backend>> = Vec::new();
    for placement in placements {
        for index in 0..placement.count {
            let session = sessions.at(placement.place)?;
            instances.push(match placement.place {
                Place::Cpu => Box::new(Instance { session, options: options.clone(), first: index == 0 }),
                Place::Gpu(device) => Box::new(gpu::Instance::new(&session, &config, device, graphs)?),
            });
            if graphs {
                sessions.forget(placement.place);
            }
        }
    }
    Ok(Loaded { config, instances })
}

/// The sessions of a model, one for each place.
struct Sessions<'a> {
    api: Api,
    path: &'a Path,
    /// As it was given: what is completed is of no concern to a session.
    given: ModelConfig,
    made: Vec<(Place, Arc<Session>)>,
}

impl Sessions<'_> {
    fn at(&mut self, place: Place) -> Result<Arc<Session>, Error> {
        if let Some((_, session)) = self.made.iter().find(|(made, _)| *made == place) {
            return Ok(session.clone());
        }
        let _turn = matches!(place, Place::Gpu(_)).then(gpu::turn::to_create);
        let options = Options::from_config(self.api, &self.given, place)?;
        let session = Arc::new(Session::load(self.api, self.path, &options)?);
        self.made.push((place, session.clone()));
        Ok(session)
    }

    /// The next one at this place is new.
    fn forget(&mut self, place: Place) {
        self.made.retain(|(made, _)| *made != place || place == Place::Cpu);
    }
}

/// One on the processor.
struct Instance {
    session: Arc<Session>,
    options: Arc<RunOptions>,
    /// Of those that share the session.
    first: bool,
}

impl Backend for Instance {
    fn run(&mut self, inputs: &[TensorView<'_>]) -> Result<Vec<Tensor>, Error> {
        self.session.run(&self.options, inputs)
    }

    fn may_run_inline(&self) -> bool {
        true
    }

    fn run_in(&self) -> RunIn {
        if self.first { RunIn::Within(RUN_IN_LIMIT) } else { RunIn::Skip }
    }
}
