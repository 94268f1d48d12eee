//! A request that a model has accepted, whatever answers it.

use super::{
    cache::{Cache, Key},
    flow::Flow,
    infer::Terms,
    queued::Queued,
};
use crate::{
    models::{Version, engine::Engine},
    shared::Local,
};
use infermesh_batcher::{Answer, Request, Tensor, Timing, sequence::Turn, stats::Phases};
use infermesh_wire::Error;
use smallvec::SmallVec;
use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

/// What is asked of a model.
pub struct Job {
    /// In the order of the model's signature.
    pub inputs: SmallVec<[Tensor; 2]>,
    /// Size of the first dimension, 1 where the model does not batch.
    pub rows: usize,
    pub turn: Option<Box<Turn>>,
    /// Level of priority from 1, served first; 0 is the model's default.
    pub priority: u64,
    /// How long the caller lets it wait for an instance.
    pub timeout: Option<Duration>,
    pub terms: Terms,
}

/// Dropping it gives the request up; what became of it is counted then.
pub struct Visit {
    version: Arc<Version>,
    since: Instant,
    work: Work,
    miss: Option<Box<Miss>>,
}

enum Work {
    Queued(Queued),
    Flow(Box<Flow>),
    /// Found in the cache; `None` once it is given.
    Known(Option<Box<Answer>>),
}

/// What the cache has not; dropped without an answer, nobody will look for it there.
struct Miss {
    cache: Arc<Cache>,
    key: Key,
    looked: Duration,
}

impl Visit {
    /// `wanted` says for each output, by its index, whether the caller will look at it.
    ///
    /// Fails with UNAVAILABLE if the queue is full or the model is being unloaded.
    pub fn begin(
        local: &Local,
        version: Arc<Version>,
        job: Job,
        wanted: &dyn Fn(usize) -> bool,
    ) -> Result<Self, Error> {
        let since = Instant::now();
        let cached = local.shared.cache.as_ref().zip(version.cache_id);
        let miss = match cached.map(|(cache, id)| look_up(cache, id, &job, since)) {
            None => None,
            Some(Ok(answer)) => {
                version.engine.stats().hit(since.elapsed());
                return Ok(Self { version, since, work: Work::Known(Some(Box::new(answer))), miss: None });
            }
            Some(Err(miss)) => Some(Box::new(miss)),
        };
        let work = match &version.engine {
            Engine::Scheduler(_) => {
                let Job { inputs, rows, turn, priority, timeout, terms } = job;
                let (mut request, answer) = Request::new(inputs, rows, since, local.mailbox.clone());
                request.deadline = terms.deadline;
                request.trace = terms.trace;
                request.turn = turn;
                let own = terms.has_own_task;
                Work::Queued(Queued::submit(&version, request, answer, priority, timeout, own)?)
            }
            Engine::Ensemble(ensemble) => {
                // The next one who asks may want other outputs.
                let wanted = |index| miss.is_some() || wanted(index);
                Work::Flow(Box::new(Flow::start(local, &version, ensemble, job, &wanted, since)?))
            }
        };
        Ok(Self { version, since, work, miss })
    }

    /// The model's outputs; to be asked once.
    pub fn answer(&mut self) -> impl Future<Output = Result<Answer, Error>> {
        poll_fn(|context| self.poll_answer(context))
    }

    /// As `answer`. Not to be asked again once it has answered.
    pub fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<Result<Answer, Error>> {
        let outcome = match &mut self.work {
            Work::Queued(queued) => ready!(queued.poll_answer(context)),
            Work::Flow(flow) => ready!(flow.poll_answer(context)),
            Work::Known(answer) => answer
                .take()
                .map(|answer| *answer)
                .ok_or_else(|| Error::internal("an answer was given twice")),
        };
        if let Ok(answer) = &outcome
            && let Some(Miss { cache, key, looked }) = self.miss.take().map(|miss| *miss)
        {
            let begun = Instant::now();
            cache.put(key, &answer.outputs);
            self.version.engine.stats().missed(looked + begun.elapsed());
        }
        Poll::Ready(outcome)
    }

    /// Whether the answer's timing is that of one batch.
    pub fn is_one_execution(&self) -> bool {
        matches!(self.work, Work::Queued(_))
    }

    pub fn version(&self) -> &Version {
        &self.version
    }

    /// When the model accepted it.
    pub fn since(&self) -> Instant {
        self.since
    }
}

/// The answer, if it is known.
fn look_up(cache: &Arc<Cache>, id: u64, job: &Job, since: Instant) -> Result<Answer, Miss> {
    let key = Key::new(id, &job.inputs);
    match cache.get(&key) {
        Some(outputs) => {
            let timing = Timing { started: since, phases: Phases::default(), rows: job.rows, requests: 1 };
            Ok(Answer { outputs, timing })
        }
        None => Err(Miss { cache: cache.clone(), key, looked: since.elapsed() }),
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if let Work::Queued(queued) = &mut self.work
            && let Some(failure) = queued.uncounted()
        {
            self.version.engine.stats().failed(failure, 1, self.since.elapsed());
        }
    }
}
