//! What a model version did, in the terms of `ModelStatistics`. Locked once per batch.

use crate::histogram::{Durations, Sizes};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub count: u64,
    pub ns: u64,
}

impl Tally {
    pub fn add(&mut self, count: usize, total: Duration) {
        self.count += count as u64;
        self.ns += total.as_nanos() as u64;
    }
}

/// Durations of one execution.
#[derive(Debug, Clone, Copy, Default)]
pub struct Phases {
    pub input: Duration,
    pub infer: Duration,
    pub output: Duration,
}

impl Phases {
    pub fn total(&self) -> Duration {
        self.input + self.infer + self.output
    }
}

/// How long one request of a batch waited, and how long it took from arrival to answer.
#[derive(Debug, Clone, Copy)]
pub struct Stay {
    pub queued: Duration,
    pub total: Duration,
}

/// Responses that may be told apart, by their place among those of their request; later ones count as the last.
pub const MAX_RESPONSES: usize = 256;

/// What became of one response of a decoupled model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Responded {
    Success,
    Fail,
    /// No tensors: the end of a request.
    Empty,
    /// Nobody listened any more.
    Cancel,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct Responses {
    pub compute_infer: Tally,
    pub compute_output: Tally,
    /// Both together, by what became of it.
    pub outcomes: [Tally; 4],
}

/// Why a request that reached its model got no answer from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The queue was full, or it waited too long there.
    Rejected,
    /// The caller gave it up, or its deadline passed.
    Canceled,
    /// The model failed.
    Backend,
    Other,
}

impl Failure {
    pub const ALL: [Self; 4] = [Self::Rejected, Self::Canceled, Self::Backend, Self::Other];
}

#[derive(Debug, Clone, Default)]
pub struct Counters {
    /// How long it took to load the version, once that is known.
    pub load: Option<Duration>,
    /// When the last batch was answered.
    pub last: Option<Instant>,
    /// Rows.
    pub inferences: u64,
    /// Batches.
    pub executions: u64,
    /// Per request, from arrival to answer.
    pub success: Tally,
    pub fail: Tally,
    /// In the order of `Failure::ALL`.
    pub failures: [u64; Failure::ALL.len()],
    /// Per request.
    pub queue: Tally,
    pub compute_input: Tally,
    pub compute_infer: Tally,
    pub compute_output: Tally,
    /// Per request that was answered from the cache: from arrival to answer.
    pub cache_hit: Tally,
    /// Per request that was not, though it might have been: the time to look and to keep the answer.
    pub cache_miss: Tally,
    /// Per batch, by its rows.
    pub by_rows: BTreeMap<usize, [Tally; 3]>,
    /// Of a decoupled model, by the place of a response among those of its request.
    pub responses: BTreeMap<usize, Responses>,
    /// Per request that succeeded.
    pub request_ns: Durations,
    pub queue_ns: Durations,
    /// Per batch.
    pub compute_ns: Durations,
    pub batch_rows: Sizes,
    pub batch_requests: Sizes,
}

#[derive(Debug, Default)]
pub struct Stats(Mutex<Counters>);

impl Stats {
    pub fn snapshot(&self) -> Counters {
        self.lock().clone()
    }

    pub fn loaded(&self, took: Duration) {
        self.lock().load = Some(took);
    }

    /// One batch that ran: `rows` in all. `stays` are those of its requests that somebody still waited for.
    pub fn executed(&self, rows: usize, phases: Phases, stays: impl Iterator<Item = Stay>) {
        let Phases { input, infer, output } = phases;
        let mut counters = self.lock();
        let (mut each, mut queued, mut total) = (0, Duration::ZERO, Duration::ZERO);
        for stay in stays {
            each += 1;
            queued += stay.queued;
            total += stay.total;
            counters.queue_ns.record(stay.queued.as_nanos() as u64);
            counters.request_ns.record(stay.total.as_nanos() as u64);
        }
        counters.last = Some(Instant::now());
        counters.inferences += rows as u64;
        counters.executions += 1;
        counters.success.add(each, total);
        counters.queue.add(each, queued);
        counters.compute_input.add(each, input * each as u32);
        counters.compute_infer.add(each, infer * each as u32);
        counters.compute_output.add(each, output * each as u32);
        counters.compute_ns.record(phases.total().as_nanos() as u64);
        counters.batch_rows.record(rows as u64);
        counters.batch_requests.record(each as u64);
        let by_rows = counters.by_rows.entry(rows).or_default();
        for (tally, duration) in by_rows.iter_mut().zip([input, infer, output]) {
            tally.add(1, duration);
        }
    }

    /// The response at this place took so long to be made and to be handed over.
    pub fn responded(&self, index: usize, what: Responded, infer: Duration, output: Duration) {
        let mut counters = self.lock();
        let responses = counters.responses.entry(index.min(MAX_RESPONSES - 1)).or_default();
        // What has no tensors took no work.
        if what != Responded::Empty {
            responses.compute_infer.add(1, infer);
            responses.compute_output.add(1, output);
        }
        responses.outcomes[what as usize].add(1, infer + output);
    }

    /// A request that was answered from the cache, after `total`.
    pub fn hit(&self, total: Duration) {
        let mut counters = self.lock();
        counters.last = Some(Instant::now());
        counters.success.add(1, total);
        counters.request_ns.record(total.as_nanos() as u64);
        // It waited for nothing.
        counters.queue.add(1, Duration::ZERO);
        counters.queue_ns.record(0);
        counters.cache_hit.add(1, total);
    }

    /// A request that was executed as the cache had no answer, which has it now.
    pub fn missed(&self, spent: Duration) {
        self.lock().cache_miss.add(1, spent);
    }

    /// Requests that reached the model and got an error, after `total` all together.
    pub fn failed(&self, why: Failure, requests: usize, total: Duration) {
        let mut counters = self.lock();
        counters.fail.add(requests, total);
        counters.failures[why as usize] += requests as u64;
    }

    fn lock(&self) -> MutexGuard<'_, Counters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hit_is_a_success_without_an_execution() {
        let stats = Stats::default();
        stats.hit(Duration::from_nanos(7));
        stats.missed(Duration::from_nanos(5));
        let found = stats.snapshot();
        assert_eq!((found.success, found.cache_hit), (Tally { count: 1, ns: 7 }, Tally { count: 1, ns: 7 }));
        assert_eq!((found.queue.count, found.cache_miss), (1, Tally { count: 1, ns: 5 }));
        assert_eq!((found.inferences, found.executions, found.compute_infer.count), (0, 0, 0));
        assert_eq!((found.request_ns.count(), found.queue_ns.count()), (1, 1));
    }

    #[test]
    fn histograms_agree_with_the_sums() {
        let stats = Stats::default();
        let phases = Phases { infer: Duration::from_micros(30), ..Default::default() };
        let stays = [10, 20].map(|queued| Stay {
            queued: Duration::from_micros(queued),
            total: Duration::from_micros(queued + 30),
        });
        stats.executed(5, phases, stays.into_iter());
        stats.failed(Failure::Canceled, 3, Duration::ZERO);
        let found = stats.snapshot();
        assert_eq!(
            (found.request_ns.count(), found.request_ns.sum()),
            (found.success.count, found.success.ns)
        );
        assert_eq!((found.queue_ns.count(), found.queue_ns.sum()), (2, 30_000));
        assert_eq!((found.compute_ns.count(), found.compute_ns.sum()), (1, 30_000));
        assert_eq!((found.batch_rows.sum(), found.batch_requests.sum()), (5, 2));
        assert_eq!((found.failures, found.fail.count), ([0, 3, 0, 0], 3));
    }
}
