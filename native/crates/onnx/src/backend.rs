//! A configured model as the batcher runs it.

use crate::{
    api::Api,
    background,
    describe::{arrange, complete},
    gpu,
    options::Options,
    placement::{Place, Placement, decide, placements},
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
    // Here, as it starts the threads that all models share.
    let api = Api::open(library)?;
    config.instance_group = decide(&config, &api)?;
    let placements = placements(&config.instance_group);
    if wants_graphs(&config) && placements.iter().all(|placement| placement.place == Place::Cpu) {
        return Err(Error::invalid(
            "optimization.cuda.graphs asks for CUDA graphs, but no instance is on a GPU (instance_group.kind: KIND_GPU)",
        ));
    }
    background::run(|| {
        let (config, sessions) = Sessions::start(api, path, config, &placements)?;
        let instances = instances(&config, &placements, sessions)?;
        Ok(Loaded { config, instances })
    })
}

fn instances(
    config: &ModelConfig,
    placements: &[Placement],
    mut sessions: Sessions<'_>,
) -> Result<Vec<Box<dyn Backend>>, Error> {
    let options = Arc::new(RunOptions::new(sessions.api, config)?);
    let graphs = wants_graphs(config);
    let mut instances: Vec<Box<dyn Backend>> = Vec::new();
    for placement in placements {
        for index in 0..placement.count {
            let session = sessions.at(placement.place, config)?;
            instances.push(match placement.place {
                Place::Cpu => Box::new(Instance { session, options: options.clone(), first: index == 0 }),
                Place::Gpu(device) => Box::new(gpu::Instance::new(&session, config, device, graphs)?),
            });
            if graphs {
                sessions.forget(placement.place);
            }
        }
    }
    Ok(instances)
}

/// The sessions of a model, one for each place.
struct Sessions<'a> {
    api: Api,
    path: &'a Path,
    /// As it was given: what is completed is of no concern to a session.
    given: ModelConfig,
    made: Vec<(Place, Arc<Session>)>,
}

impl<'a> Sessions<'a> {
    /// Makes the first session, and completes the configuration from what the model says in it.
    fn start(
        api: Api,
        path: &'a Path,
        given: ModelConfig,
        placements: &[Placement],
    ) -> Result<(ModelConfig, Self), Error> {
        let place = placements.first().map_or(Place::Cpu, |placement| placement.place);
        let mut sessions = Self { api, path, given, made: Vec::new() };
        let mut session = sessions.make(place)?;
        let config = complete(sessions.given.clone(), &session)?;
        arrange(&mut session, &config)?;
        sessions.made.push((place, Arc::new(session)));
        Ok((config, sessions))
    }

    fn at(&mut self, place: Place, config: &ModelConfig) -> Result<Arc<Session>, Error> {
        if let Some((_, session)) = self.made.iter().find(|(made, _)| *made == place) {
            return Ok(session.clone());
        }
        let mut session = self.make(place)?;
        arrange(&mut session, config)?;
        let session = Arc::new(session);
        self.made.push((place, session.clone()));
        Ok(session)
    }

    fn make(&self, place: Place) -> Result<Session, Error> {
        let _turn = matches!(place, Place::Gpu(_)).then(gpu::turn::to_create);
        let options = Options::from_config(self.api, &self.given, place)?;
        let mut session = Session::load(self.api, self.path, &options)?;
        session.offer(&self.given)?;
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
