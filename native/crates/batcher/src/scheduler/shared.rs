//! What the threads of a scheduler share, and who is woken when.

use super::{OnFailure, OnFatal, Ran, Signature};
use crate::{
    Backend, Policy, Request, Sample, Stats,
    gather::Scratch,
    mailbox::Posting,
    order::{Order, Ticket},
    sequence::Concerns,
    waiting::Waiting,
};
use infermesh_wire::Error;
use std::{
    sync::{
        Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// Batches up to this long run on the network thread. Two hand-overs cost 20 to 100 us on the machines measured
/// (docs/performance.md); beyond that, blocking the thread's other connections costs more than it saves.
pub(super) const INLINE_LIMIT: Duration = Duration::from_micros(150);

pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    /// One per instance: woken when there may be work for it.
    pub(super) work: Vec<Condvar>,
    pub(super) policy: Policy,
    pub(super) signature: Signature,
    pub(super) stats: Stats,
    /// Of answers, where that is asked for and several instances could break it.
    pub(super) order: Option<Mutex<Order<Vec<Posting>>>>,
    /// Moving average of a batch's duration.
    pub(super) duration_ns: AtomicU64,
    pub(super) on_failure: OnceLock<OnFailure>,
    pub(super) on_fatal: OnFatal,
}

pub(super) struct State {
    pub(super) waiting: Waiting,
    /// `None` while the instance runs.
    pub(super) instances: Vec<Option<Instance>>,
    /// Threads that sleep, until a batch is due or until they are woken.
    pub(super) asleep: Vec<Option<Sleep>>,
    /// A network thread has promised to call `run_here`.
    pub(super) drive_promised: bool,
    pub(super) closed: bool,
    /// What everybody is answered since the model cannot be used any more.
    pub(super) failed: Option<Error>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sleep {
    Idle,
    Until(Instant),
}

pub(super) struct Instance {
    pub(super) backend: Box<dyn Backend>,
    pub(super) scratch: Scratch,
    /// Of the batch that it runs, where answers keep their order.
    pub(super) ticket: Ticket,
}

impl State {
    pub(super) fn inline_instance(&self) -> Option<usize> {
        self.instances.iter().position(|slot| slot.as_ref().is_some_and(|it| it.backend.may_run_inline()))
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    /// Takes a free instance to run a batch.
    pub(super) fn begin(&self, state: &mut State, index: usize, batch: &[Request]) -> Option<Instance> {
        let mut instance = state.instances[index].take()?;
        state.waiting.started(index, rows_of(batch), Instant::now());
        if let Some(order) = &self.order {
            instance.ticket = locked(order).ticket();
        }
        Some(instance)
    }

    /// Gives an instance back.
    pub(super) fn end(&self, state: &mut State, index: usize, instance: Instance, ran: Ran) {
        state.instances[index] = Some(instance);
        state.waiting.finished(index, ran, Instant::now());
        if self.order.is_some() {
            // Threads that were held up.
            self.work.iter().for_each(Condvar::notify_one);
        }
    }

    /// Whether so many answers wait for earlier ones that no more should join them.
    pub(super) fn is_held_up(&self) -> bool {
        self.order.as_ref().is_some_and(|order| locked(order).is_full())
    }

    pub(super) fn is_short(&self) -> bool {
        self.duration_ns.load(Relaxed) <= INLINE_LIMIT.as_nanos() as u64
    }

    /// Wakes the threads of those instances, if they sleep.
    pub(super) fn wake(&self, state: &mut State, concerned: Concerns) {
        match concerned {
            Concerns::Anybody => self.wake_one(state, None),
            Concerns::Instance(index) => self.work[index].notify_one(),
            Concerns::Everybody => self.work.iter().for_each(Condvar::notify_one),
        }
    }

    /// Wakes a sleeping thread whose instance is free, if what waits can concern it: `latest_start` is when a request
    /// that has just arrived must start.
    pub(super) fn wake_one(&self, state: &mut State, latest_start: Option<Instant>) {
        let enough = state.waiting.is_enough();
        for index in 0..state.asleep.len() {
            if state.instances[index].is_none() {
                continue;
            }
            match state.asleep[index] {
                Some(Sleep::Idle) => {}
                // It wakes by itself when the batch is due; earlier only if the batch may be complete or in a hurry.
                Some(Sleep::Until(due)) if enough || latest_start.is_some_and(|latest| latest < due) => {}
                Some(Sleep::Until(_)) => return,
                None => continue,
            }
            state.asleep[index] = None;
            self.work[index].notify_one();
            return;
        }
    }

    /// The first estimates of a batch's duration. Of the average: that of the smallest that an instance was run in with.
    pub(super) fn seed(&self, samples: &[Sample]) {
        if let Some(smallest) = samples.iter().min_by_key(|sample| sample.rows) {
            self.duration_ns.store(smallest.took.as_nanos() as u64, Relaxed);
        }
        let mut state = self.lock();
        samples.iter().for_each(|sample| state.waiting.learn(sample.rows, sample.took));
    }

    pub(super) fn learn(&self, duration: Duration) {
        let average = self.duration_ns.load(Relaxed);
        let sample = duration.as_nanos().min(u128::from(u64::MAX / 16)) as u64;
        self.duration_ns.store(average - average / 8 + sample / 8, Relaxed);
    }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn rows_of(batch: &[Request]) -> usize {
    batch.iter().map(|request| request.rows).sum()
}
