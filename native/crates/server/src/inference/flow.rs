//! One request on its way through the steps of an ensemble, on the network thread that received it.

use super::{
    infer::Terms,
    sequence,
    validate::{Rows, check_shape},
    visit::{Job, Visit},
};
use crate::{
    models::{
        Version,
        engine::Engine,
        ensemble::{
            Ensemble,
            plan::{Plan, Step},
        },
    },
    observe::watch,
    shared::Local,
};
use infermesh_batcher::{
    Answer, Failure, Tensor, Timing, TraceIds,
    sequence::Turn,
    stats::{Phases, Stay},
};
use infermesh_wire::{Code, Error};
use smallvec::SmallVec;
use std::{
    iter::once,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

/// A step that its model has accepted.
struct UnderWay {
    /// In the plan.
    index: usize,
    visit: Visit,
    trace: Option<TraceIds>,
}

/// Dropping it gives up what its steps have under way.
pub struct Flow {
    local: Local,
    version: Arc<Version>,
    rows: usize,
    turn: Option<Box<Turn>>,
    priority: u64,
    since: Instant,
    terms: Terms,
    /// Until when the caller lets it wait for instances.
    patience: Option<Instant>,
    /// By their numbers in the plan; those that are there.
    tensors: Vec<Option<Tensor>>,
    /// Steps that wait for tensors, in the plan's order.
    waiting: Vec<usize>,
    under_way: SmallVec<[UnderWay; 1]>,
    /// Sums over the steps that have run.
    queued: Duration,
    phases: Phases,
    failure: Option<Failure>,
}

impl Flow {
    /// Hands the steps that need nothing but the request's inputs to their models.
    ///
    /// Fails with UNAVAILABLE if the ensemble is being unloaded, or as a step does.
    pub fn start(
        local: &Local,
        version: &Arc<Version>,
        ensemble: &Ensemble,
        job: Job,
        wanted: &dyn Fn(usize) -> bool,
        since: Instant,
    ) -> Result<Self, Error> {
        ensemble.admission.enter()?;
        let plan = &ensemble.plan;
        let mut tensors: Vec<_> = job.inputs.into_iter().map(Some).collect();
        tensors.resize(plan.datatypes.len(), None);
        let mut flow = Self {
            local: local.clone(),
            version: version.clone(),
            rows: job.rows,
            turn: job.turn,
            priority: job.priority,
            since,
            terms: job.terms,
            patience: job.timeout.map(|timeout| since + timeout),
            tensors,
            waiting: plan.needed(wanted),
            under_way: SmallVec::new(),
            queued: Duration::ZERO,
            phases: Phases::default(),
            failure: Some(Failure::Canceled),
        };
        flow.advance(plan).map_err(|error| flow.failed(error))?;
        Ok(flow)
    }

    /// Runs the rest of the steps. Not to be asked again once it has answered.
    pub fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<Result<Answer, Error>> {
        let version = self.version.clone();
        let Engine::Ensemble(ensemble) = &version.engine else {
            return Poll::Ready(Err(Error::internal("not an ensemble")));
        };
        let mut next = 0;
        // Steps that begin meanwhile come last.
        while let Some(step) = self.under_way.get_mut(next) {
            let Poll::Ready(outcome) = step.visit.poll_answer(context) else {
                next += 1;
                continue;
            };
            let ended = self.under_way.swap_remove(next);
            if let Err(error) = self.pass(&ensemble.plan, ended, outcome) {
                return Poll::Ready(Err(self.failed(error)));
            }
        }
        match self.under_way.is_empty() {
            true => Poll::Ready(Ok(self.done(ensemble))),
            false => Poll::Pending,
        }
    }

    /// Takes what a step has answered, and goes on from there.
    fn pass(&mut self, plan: &Plan, ended: UnderWay, outcome: Result<Answer, Error>) -> Result<(), Error> {
        let UnderWay { index, visit, trace } = ended;
        let step = &plan.steps[index];
        if let (Some(outer), Some(own)) = (self.terms.trace, trace) {
            let told = outcome.as_ref().map(|answer| visit.is_one_execution().then_some(answer.timing));
            let traces = &self.local.shared.traces;
            watch::tell_step(traces, outer, own, visit.version(), visit.since(), told);
        }
        self.keep(step, &visit, outcome.map_err(|error| self.within(step, error))?);
        self.advance(plan)
    }

    /// Hands every step whose tensors are there to its model.
    fn advance(&mut self, plan: &Plan) -> Result<(), Error> {
        let mut waiting = std::mem::take(&mut self.waiting);
        let mut failure = None;
        waiting.retain(|&index| {
            let step = &plan.steps[index];
            if failure.is_some() || step.inputs.iter().any(|(_, tensor)| self.tensors[*tensor].is_none()) {
                return true;
            }
            let trace = self.terms.trace.map(watch::within);
            match self.begin(plan, step, trace) {
                Ok(visit) => self.under_way.push(UnderWay { index, visit, trace }),
                Err(error) => failure = Some(self.within(step, error)),
            }
            false
        });
        self.waiting = waiting;
        failure.map_or(Ok(()), Err)
    }

    fn begin(&self, plan: &Plan, step: &Step, trace: Option<TraceIds>) -> Result<Visit, Error> {
        let visit = self.local.shared.registry.on(&step.model, &step.version, |member| {
            let mut job = self.job(plan, step, &member)?;
            job.terms.trace = trace;
            let wanted: SmallVec<[bool; 8]> = member
                .outputs
                .iter()
                .map(|port| step.outputs.iter().any(|(name, _)| *name == port.name))
                .collect();
            Visit::begin(&self.local, member, job, &|index| wanted[index])
        });
        // That the caller's request names something unknown would be wrong to say of a member.
        visit.map_err(|error| match error.code {
            Code::NotFound => Error::new(Code::Unavailable, error.message),
            _ => error,
        })
    }

    /// The step's share of the request, held against its model as it is now.
    fn job(&self, plan: &Plan, step: &Step, member: &Version) -> Result<Job, Error> {
        let changed = |what: String| {
            Error::new(Code::Unavailable, format!("it has changed since the ensemble was loaded: {what}"))
        };
        let mut inputs = SmallVec::with_capacity(member.inputs.len());
        let mut rows = Rows::default();
        for port in &member.inputs {
            let source =
                step.source(&port.name).and_then(|index| Some((index, self.tensors[index].as_ref()?)));
            // What the caller left out is as good as nothing.
            let Some((index, tensor)) = source.filter(|(_, tensor)| !tensor.is_absent()) else {
                if port.optional {
                    inputs.push(Tensor::absent());
                    continue;
                }
                return Err(changed(format!("nothing is fed to its input '{}'", port.name)));
            };
            if plan.datatypes[index] != port.datatype {
                return Err(changed(format!(
                    "its input '{}' is {} and gets {}",
                    port.name,
                    port.datatype.name(),
                    plan.datatypes[index].name()
                )));
            }
            check_shape(member, port, &tensor.shape)?;
            rows.check(member, port, &tensor.shape)?;
            inputs.push(tensor.clone());
        }
        let now = Instant::now();
        // Zero would be no limit.
        let left = |end: Instant| end.saturating_duration_since(now).max(Duration::from_micros(1));
        let rows = rows.count(member)?;
        let turn = sequence::fit(member, self.turn.clone(), rows)?;
        Ok(Job {
            inputs,
            rows,
            turn,
            priority: self.priority,
            terms: self.terms,
            timeout: self.patience.map(left),
        })
    }

    fn keep(&mut self, step: &Step, visit: &Visit, answer: Answer) {
        let Answer { outputs, timing } = answer;
        for (port, tensor) in visit.version().outputs.iter().zip(outputs) {
            if let Some((_, index)) = step.outputs.iter().find(|(name, _)| *name == port.name) {
                self.tensors[*index] = Some(tensor);
            }
        }
        self.queued += timing.started.saturating_duration_since(visit.since());
        self.phases.input += timing.phases.input;
        self.phases.infer += timing.phases.infer;
        self.phases.output += timing.phases.output;
    }

    /// Counts the request as answered.
    fn done(&mut self, ensemble: &Ensemble) -> Answer {
        self.failure = None;
        let stay = Stay { queued: self.queued, total: self.since.elapsed() };
        ensemble.stats().executed(self.rows, self.phases, once(stay));
        // What nobody wanted may not be there.
        let output = |tensor: usize| self.tensors[tensor].clone().unwrap_or_else(Tensor::absent);
        let outputs = ensemble.plan.outputs.iter().map(|&tensor| output(tensor));
        let timing =
            Timing { started: self.since + self.queued, phases: self.phases, rows: self.rows, requests: 1 };
        Answer { outputs: outputs.collect(), timing }
    }

    fn failed(&mut self, error: Error) -> Error {
        self.failure = Some(match error.code {
            Code::Unavailable => Failure::Rejected,
            Code::DeadlineExceeded | Code::Cancelled => Failure::Canceled,
            Code::Internal => Failure::Backend,
            _ => Failure::Other,
        });
        error
    }

    fn within(&self, step: &Step, error: Error) -> Error {
        match error.code {
            // The caller's own deadline has nothing to do with the step.
            Code::DeadlineExceeded => error,
            code => Error::new(
                code,
                format!("in ensemble '{}', model '{}': {}", self.version.name, step.model, error.message),
            ),
        }
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        // The members hear of it before whoever unloads the ensemble goes on.
        self.under_way.clear();
        if let Engine::Ensemble(ensemble) = &self.version.engine {
            if let Some(failure) = self.failure {
                ensemble.stats().failed(failure, 1, self.since.elapsed());
            }
            ensemble.admission.leave();
        }
    }
}
