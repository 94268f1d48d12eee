//! What waits for a model's instances: requests that any of them may run, or sequences that each keep to their own.

use crate::{
    Policy, Request,
    queue::{Next, Queue},
    scheduler::Ran,
    sequence::{Concerns, Sequencer},
};
use infermesh_wire::Error;
use std::time::{Duration, Instant};

/// There is one per model.
#[allow(clippy::large_enum_variant)]
pub enum Waiting {
    Batches(Queue),
    Sequences(Sequencer),
}

impl Waiting {
    pub fn new(policy: &Policy, instances: usize) -> Self {
        match &policy.sequences {
            None => Self::Batches(Queue::new(policy.clone(), instances)),
            Some(plan) => Self::Sequences(Sequencer::new(plan.clone(), instances)),
        }
    }

    pub fn pending(&self) -> usize {
        match self {
            Self::Batches(queue) => queue.len(),
            Self::Sequences(sequencer) => sequencer.pending(),
        }
    }

    /// Whether nothing waits that this instance could run.
    pub fn is_done(&self, instance: usize) -> bool {
        match self {
            Self::Batches(queue) => queue.is_empty(),
            Self::Sequences(sequencer) => sequencer.is_done(instance),
        }
    }

    /// Whether something waits that any instance could run.
    pub fn is_for_anybody(&self) -> bool {
        matches!(self, Self::Batches(queue) if !queue.is_empty())
    }

    /// Whether so many rows wait that a batch may be complete before its delay is over.
    pub fn is_enough(&self) -> bool {
        match self {
            Self::Batches(queue) => queue.rows() >= queue.policy().interesting_rows(),
            Self::Sequences(_) => true,
        }
    }

    /// Returns whom it concerns; fails as the queue or the sequencer does.
    pub fn push(&mut self, request: Request, now: Instant) -> Result<Concerns, Error> {
        match self {
            Self::Batches(queue) => queue.push(request, now).map(|()| Concerns::Anybody),
            Self::Sequences(sequencer) => sequencer.push(request, now),
        }
    }

    /// What an instance that is free is to do.
    pub fn next(&mut self, instance: usize, now: Instant) -> Next {
        match self {
            Self::Batches(queue) => queue.next(now),
            Self::Sequences(sequencer) => sequencer.next(instance, now),
        }
    }

    /// When a request that is about to come must start, where that is known.
    pub fn latest_start(&self, request: &Request) -> Option<Instant> {
        match self {
            Self::Batches(queue) => queue.latest_start(request),
            Self::Sequences(_) => None,
        }
    }

    /// A batch of so many rows took this long before anything came.
    pub fn learn(&mut self, rows: usize, took: Duration) {
        if let Self::Batches(queue) = self {
            queue.learn(rows, took);
        }
    }

    /// An instance begins to run so many rows.
    pub fn started(&mut self, instance: usize, rows: usize, now: Instant) {
        if let Self::Batches(queue) = self {
            queue.started(instance, rows, now);
        }
    }

    /// The batch of an instance is done.
    pub fn finished(&mut self, instance: usize, Ran { took, states }: Ran, now: Instant) {
        match self {
            Self::Batches(queue) => queue.finished(instance, took, now),
            Self::Sequences(sequencer) => sequencer.finished(instance, states, now),
        }
    }

    /// Everything that waits, to refuse it.
    pub fn drain(&mut self) -> Vec<Request> {
        match self {
            Self::Batches(queue) => queue.drain(),
            Self::Sequences(sequencer) => sequencer.drain(),
        }
    }

    /// Little more will come.
    pub fn wind_down(&mut self) {
        if let Self::Sequences(sequencer) = self {
            sequencer.wind_down();
        }
    }
}
