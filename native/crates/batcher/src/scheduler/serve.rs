//! An instance's own thread: run in, then batch after batch until the end.

use super::shared::{Shared, Sleep};
use crate::{
    Rehearsal,
    queue::Next,
    warm_up::{Experience, run_in},
};
use infermesh_wire::Error;
use std::{
    sync::{PoisonError, mpsc::Sender},
    time::Instant,
};

impl Shared {
    /// Nothing else can use the instance meanwhile: the scheduler is not known to anybody yet.
    pub(super) fn run_in(
        &self,
        index: usize,
        rehearsals: &[Rehearsal],
        report: Sender<Result<Experience, Error>>,
    ) {
        let Some(mut instance) = self.lock().instances[index].take() else { return };
        let experience = run_in(&mut *instance.backend, rehearsals);
        self.lock().instances[index] = Some(instance);
        // Nobody listens any more once another instance has failed.
        let _ = report.send(experience);
    }

    /// The loop of an instance's thread.
    pub(super) fn serve(&self, index: usize) {
        let mut state = self.lock();
        loop {
            let next = match state.instances[index] {
                Some(_) if (!state.drive_promised || state.closed) && !self.is_held_up() => {
                    state.waiting.next(index, Instant::now())
                }
                // It runs on a network thread or is about to.
                _ => Next::Empty,
            };
            match next {
                Next::Run(batch) => {
                    let Some(mut instance) = self.begin(&mut state, index, &batch) else { continue };
                    if state.waiting.is_for_anybody() {
                        self.wake_one(&mut state, None);
                    }
                    drop(state);
                    let ran = self.run(&mut instance, batch);
                    state = self.lock();
                    self.end(&mut state, index, instance, ran);
                }
                Next::Wait(until) => {
                    state.asleep[index] = Some(Sleep::Until(until));
                    let timeout = until.saturating_duration_since(Instant::now());
                    state = self.work[index]
                        .wait_timeout(state, timeout)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0;
                    state.asleep[index] = None;
                }
                Next::Refuse(refused) => {
                    drop(state);
                    self.refuse(refused);
                    state = self.lock();
                }
                Next::Empty
                    if state.closed && state.instances[index].is_some() && state.waiting.is_done(index) =>
                {
                    return;
                }
                Next::Empty => {
                    state.asleep[index] = Some(Sleep::Idle);
                    state = self.work[index].wait(state).unwrap_or_else(PoisonError::into_inner);
                    state.asleep[index] = None;
                }
            }
        }
    }
}
