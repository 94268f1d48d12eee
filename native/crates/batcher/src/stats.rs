//! What a model version did, in the terms of `ModelStatistics`. Locked once per batch.

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

#[derive(Debug, Clone, Default)]
pub struct Counters {
    /// When the last batch was answered.
    pub last: Option<Instant>,
    /// Rows.
    pub inferences: u64,
    /// Batches.
    pub executions: u64,
    /// Per request, from arrival to answer.
    pub success: Tally,
    pub fail: Tally,
    /// Per request.
    pub queue: Tally,
    pub compute_input: Tally,
    pub compute_infer: Tally,
    pub compute_output: Tally,
    /// Per batch, by its rows.
    pub by_rows: BTreeMap<usize, [Tally; 3]>,
}

#[derive(Debug, Default)]
pub struct Stats(Mutex<Counters>);

impl Stats {
    pub fn snapshot(&self) -> Counters {
        self.lock().clone()
    }

    /// One batch that ran: `requests` of `rows` rows in all, which together waited `queued` and took `total`.
    pub fn executed(&self, requests: usize, rows: usize, queued: Duration, total: Duration, phases: Phases) {
        let Phases { input, infer, output } = phases;
        let each = requests as u32;
        let mut counters = self.lock();
        counters.last = Some(Instant::now());
        counters.inferences += rows as u64;
        counters.executions += 1;
        counters.success.add(requests, total);
        counters.queue.add(requests, queued);
        counters.compute_input.add(requests, input * each);
        counters.compute_infer.add(requests, infer * each);
        counters.compute_output.add(requests, output * each);
        let by_rows = counters.by_rows.entry(rows).or_default();
        for (tally, duration) in by_rows.iter_mut().zip([input, infer, output]) {
            tally.add(1, duration);
        }
    }

    /// Requests that reached the model and got an error, after `total` all together.
    pub fn failed(&self, requests: usize, total: Duration) {
        self.lock().fail.add(requests, total);
    }

    fn lock(&self) -> MutexGuard<'_, Counters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
