//! A batch is executed and its requests are answered.

use super::{
    Ran,
    shared::{Instance, Shared, locked, rows_of},
};
use crate::{
    Answer, Backend, Failure, Many, Outcome, Reply, Request, Tensor, TensorView, Timing, decoupled,
    gather::Scratch,
    mailbox,
    split::split,
    stats::{Phases, Stay},
    trace,
};
use infermesh_wire::{Code, Error};
use smallvec::SmallVec;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

impl Shared {
    /// Executes a batch and answers its requests.
    pub(super) fn run(&self, instance: &mut Instance, batch: Vec<Request>) -> Ran {
        if let [Request { reply: Reply::Many(answers), .. }] = &batch[..] {
            self.run_decoupled(instance, &batch, answers);
            return Ran::default();
        }
        let started = Instant::now();
        let rows = rows_of(&batch);
        let outcome = trace::during(&batch, || {
            catch_unwind(AssertUnwindSafe(|| self.execute(instance, &batch, rows, started)))
                .unwrap_or_else(|_| Err(Error::internal("the backend panicked")))
                .inspect_err(|error| self.tell(error))
        });
        let finished = Instant::now();
        self.learn(finished - started);
        let took = outcome.is_ok().then_some(finished - started);

        // Whoever gave up meanwhile has counted that himself.
        let awaited = batch.iter().filter(|request| !request.reply.is_closed());
        let stays = awaited.map(|request| Stay {
            queued: started.saturating_duration_since(request.enqueued),
            total: finished.saturating_duration_since(request.enqueued),
        });
        let mut states = Vec::new();
        let outcomes: Vec<Outcome> = match outcome {
            Ok((mut shares, phases)) => {
                if let Some(plan) = &self.policy.sequences {
                    let shared = shares.len() > 1;
                    states = shares.iter_mut().map(|share| plan.split_states(share, shared)).collect();
                }
                let (rows, requests) = asked_for(&batch);
                self.stats.executed(rows, phases, stays);
                let timing = Timing { started, phases, rows, requests };
                shares.into_iter().map(|outputs| Ok(Answer { outputs, timing })).collect()
            }
            Err(error) => {
                let (requests, total) = stays
                    .fold((0, Duration::ZERO), |(requests, total), stay| (requests + 1, total + stay.total));
                self.stats.failed(Failure::Backend, requests, total);
                if error.fatal {
                    self.fail(&error);
                }
                batch.iter().map(|_| Err(error.clone())).collect()
            }
        };
        let letters = batch
            .into_iter()
            .zip(outcomes)
            .map(|(request, outcome)| (request.mailbox, request.reply, outcome));
        match &self.order {
            None => mailbox::post_all(letters),
            Some(order) => {
                let mut order = locked(order);
                // Posted under the lock, so that what becomes free later cannot overtake it.
                let going = order.done(instance.ticket, letters.collect());
                mailbox::post_all(going.into_iter().flatten());
            }
        }
        Ran { took, states }
    }

    /// Executes the one request of a decoupled model and hands out its answers as they come.
    fn run_decoupled(&self, instance: &mut Instance, batch: &[Request], answers: &Many) {
        let started = Instant::now();
        let outcome = trace::during(batch, || {
            catch_unwind(AssertUnwindSafe(|| {
                let rows = batch[0].rows;
                let inputs = self.gather(&mut instance.scratch, batch, rows, &*instance.backend);
                decoupled::stream(&mut *instance.backend, &inputs, &answers.parts, &self.stats)
            }))
            .unwrap_or_else(|_| Err(Error::internal("the backend panicked")))
            .inspect_err(|error| self.tell(error))
        });
        let request = &batch[0];
        let total = request.enqueued.elapsed();
        // Counted first: who has read the end finds the request in the statistics.
        let awaited = answers.count.take();
        let end = match outcome {
            Ok(phases) => {
                let stay = Stay { queued: started.saturating_duration_since(request.enqueued), total };
                self.stats.executed(request.rows, phases, awaited.then_some(stay).into_iter());
                let _ = answers.timing.set(Timing { started, phases, rows: request.rows, requests: 1 });
                Ok(None)
            }
            Err(error) => {
                self.stats.failed(Failure::Backend, usize::from(awaited), total);
                if error.fatal {
                    self.fail(&error);
                }
                Err(error)
            }
        };
        // Without a reader there is nobody to tell.
        let _ = answers.parts.blocking_send(end);
    }

    #[allow(clippy::type_complexity)]
    fn execute(
        &self,
        instance: &mut Instance,
        batch: &[Request],
        rows: usize,
        started: Instant,
    ) -> Result<(Vec<SmallVec<[Tensor; 2]>>, Phases), Error> {
        let padded = self.signature.buckets.fit(rows);
        let inputs = self.gather(&mut instance.scratch, batch, padded, &*instance.backend);
        let gathered = Instant::now();
        let outputs = instance.backend.run(&inputs)?;
        let ran = Instant::now();
        let shares = split(batch, &outputs, &self.signature.outputs, self.signature.ragged.as_ref(), padded)?;
        let phases = Phases { input: gathered - started, infer: ran - gathered, output: ran.elapsed() };
        Ok((shares, phases))
    }

    fn gather<'a>(
        &self,
        scratch: &'a mut Scratch,
        batch: &'a [Request],
        rows: usize,
        backend: &dyn Backend,
    ) -> Vec<TensorView<'a>> {
        scratch.gather(batch, &self.signature.inputs, self.signature.ragged.as_ref(), rows, backend)
    }

    /// Tells requests why they will not run.
    pub(super) fn refuse(&self, refused: Vec<(Request, Error)>) {
        let awaited = refused.iter().filter(|(request, _)| request.reply.is_to_be_counted());
        let (count, waited) = awaited.fold((0, Duration::ZERO), |(count, waited), (request, _)| {
            (count + 1, waited + request.enqueued.elapsed())
        });
        self.stats.failed(Failure::Rejected, count, waited);
        let answers =
            refused.into_iter().map(|(request, error)| (request.mailbox, request.reply, Err(error)));
        mailbox::post_all(answers);
    }

    /// Everybody who waits, and everybody to come, is refused: what failed stays broken.
    fn fail(&self, error: &Error) {
        let waiting = {
            let mut state = self.lock();
            if state.failed.is_some() {
                return;
            }
            let refusal = format!("the model has failed and is out of service: {}", error.message);
            state.failed = Some(Error::new(Code::Unavailable, refusal.clone()));
            let waiting = state.waiting.drain();
            waiting.into_iter().map(move |request| {
                let refusal = Error::new(Code::Unavailable, refusal.clone());
                (request.mailbox, request.reply, Err(refusal))
            })
        };
        mailbox::post_all(waiting);
        (self.on_fatal)(error);
    }

    fn tell(&self, error: &Error) {
        if let Some(tell) = self.on_failure.get() {
            tell(error);
        }
    }
}

/// Rows and requests of a batch that somebody asked for.
fn asked_for(batch: &[Request]) -> (usize, usize) {
    let asked = batch.iter().filter(|request| !matches!(request.reply, Reply::Nobody));
    asked.fold((0, 0), |(rows, requests), request| (rows + request.rows, requests + 1))
}
