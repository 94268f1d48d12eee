//! A configured model as the batcher runs it.

use crate::{api::Api, background, describe::complete, options::Options, session::Session};
use infermesh_batcher::{Backend, Tensor, TensorView};
use infermesh_wire::{Error, Shape, proto::inference::ModelConfig};
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// One version of a model: its completed configuration and its instances.
pub struct Loaded {
    pub config: ModelConfig,
    pub instances: Vec<Box<dyn Backend>>,
    /// How long a batch of one row took, if the model could be tried.
    pub typical: Option<Duration>,
}

/// Loads a model file and completes what its configuration leaves out.
///
/// Instances share one session: ONNX Runtime runs it from several threads, and the weights are held once.
/// Fails with what is wrong with the file or the configuration.
pub fn load(library: &Path, path: &Path, config: ModelConfig) -> Result<Loaded, Error> {
    // Here, as it starts the threads that all models share.
    let api = Api::open(library)?;
    let (config, session, typical) = background::run(|| {
        let options = Options::from_config(api, &config)?;
        let session = Arc::new(Session::load(api, path, &options)?);
        let config = complete(config, &session)?;
        let typical = warm_up(&session);
        Ok((config, session, typical))
    })?;
    let count: i32 = config.instance_group.iter().map(|group| group.count.max(1)).sum();
    let instances = (0..count).map(|_| Box::new(Instance(session.clone())) as Box<dyn Backend>).collect();
    Ok(Loaded { config, instances, typical })
}

/// Runs the model on zeros, one row, so that no caller pays for first allocations; returns the time of a later run.
///
/// A model whose other dimensions vary is left alone, since a size that fits all of them is not known. One that
/// refuses zeros may still like what its callers send, so that is no reason not to load it.
fn warm_up(session: &Session) -> Option<Duration> {
    let shapes: Vec<Shape> = session
        .inputs
        .iter()
        .map(|port| {
            let mut shape = port.shape.clone();
            shape.first_mut().filter(|dim| **dim == -1).into_iter().for_each(|dim| *dim = 1);
            shape
        })
        .collect();
    let zeros = shapes.iter().zip(&session.inputs).map(|(shape, port)| {
        let count =
            shape.iter().try_fold(1usize, |count, &dim| count.checked_mul(usize::try_from(dim).ok()?))?;
        // An empty string is four bytes of length.
        Some(vec![0u64; count.checked_mul(port.datatype.size().unwrap_or(4))?.div_ceil(size_of::<u64>())])
    });
    let zeros: Vec<Vec<u64>> = zeros.collect::<Option<_>>()?;
    let views: Vec<TensorView<'_>> = shapes
        .iter()
        .zip(&session.inputs)
        .zip(&zeros)
        .map(|((shape, port), words)| {
            let length = shape.iter().product::<i64>() as usize * port.datatype.size().unwrap_or(4);
            // SAFETY: the words hold at least `length` initialised bytes and outlive the view.
            let data = unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), length) };
            TensorView { shape: shape.clone(), data }
        })
        .collect();
    session.run(&views).ok()?;
    let started = Instant::now();
    session.run(&views).ok()?;
    Some(started.elapsed())
}

struct Instance(Arc<Session>);

impl Backend for Instance {
    fn run(&mut self, inputs: &[TensorView<'_>]) -> Result<Vec<Tensor>, Error> {
        self.0.run(inputs)
    }

    fn may_run_inline(&self) -> bool {
        true
    }
}
