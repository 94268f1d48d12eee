//! Which requests form the next batch, and when. Pure: it never looks at a clock or a thread.
//!
//! `policy` is what the configuration says; a `level` of priority holds two `line`s of requests; `foresight` says
//! which of them can still be answered in time.

mod foresight;
mod level;
mod line;
mod policy;
#[cfg(test)]
mod tests;

pub use policy::{DEFAULT_MAX_QUEUE_SIZE, LevelPolicy, Policy, TimeoutAction};

use crate::{Request, forecast::Forecast};
use infermesh_wire::Error;
use level::Level;
use std::time::{Duration, Instant};

#[derive(Debug)]
pub enum Next {
    /// These run together, now.
    Run(Vec<Request>),
    /// These cannot run any more: to be told so, and then to look again.
    Refuse(Vec<(Request, Error)>),
    /// Nothing is due before this moment unless more requests arrive.
    Wait(Instant),
    Empty,
}

#[derive(Debug)]
pub struct Queue {
    policy: Policy,
    levels: Vec<Level>,
    forecast: Forecast,
}

impl Queue {
    /// A queue in front of so many instances.
    pub fn new(policy: Policy, instances: usize) -> Self {
        let levels = policy.levels.iter().copied().map(Level::new).collect();
        Self { policy, levels, forecast: Forecast::new(instances) }
    }

    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn len(&self) -> usize {
        self.levels.iter().map(Level::len).sum()
    }

    /// Rows of all waiting requests.
    pub fn rows(&self) -> usize {
        self.levels.iter().map(Level::rows).sum()
    }

    /// An instance began to run a batch of so many rows.
    pub fn started(&mut self, instance: usize, rows: usize, now: Instant) {
        self.forecast.started(instance, rows, now);
    }

    /// It is free again; `took` is how long the batch ran, if it did not fail.
    pub fn finished(&mut self, instance: usize, took: Option<Duration>, now: Instant) {
        self.forecast.finished(instance, took, now);
    }

    /// A batch of so many rows ran outside of the queue.
    pub fn learn(&mut self, rows: usize, took: Duration) {
        self.forecast.learn(rows, took);
    }

    /// Fails with UNAVAILABLE when the request's level is full of requests that somebody still waits for, or when
    /// the request would be answered too late.
    pub fn push(&mut self, mut request: Request, now: Instant) -> Result<(), Error> {
        let level = request.level.min(self.levels.len() - 1);
        self.levels[level].check_room(now)?;
        if let Some(miss) = self.will_miss(&request, &self.levels[..=level], now) {
            if !self.forecast.is_to_be_probed(now) {
                return Err(miss);
            }
            request.probe = true;
        }
        self.levels[level].push(request);
        Ok(())
    }

    /// The next batch: by priority, then in order of arrival. The first request is always part of it; requests of
    /// another shape stay behind for a later one, and what nobody waits for is dropped.
    pub fn next(&mut self, now: Instant) -> Next {
        loop {
            match self.choose(now) {
                // All of it expired at this very moment.
                Next::Run(batch) if batch.is_empty() => {}
                next => return next,
            }
        }
    }

    fn choose(&mut self, now: Instant) -> Next {
        self.levels.iter_mut().for_each(|level| level.tidy(now));
        let refused = self.take_hopeless(now);
        if !refused.is_empty() {
            return Next::Refuse(refused);
        }
        let Some(first) = self.first() else { return Next::Empty };
        if !self.policy.dynamic {
            return Next::Run(self.take(&[0]));
        }

        let mut room = self.policy.max_batch_size;
        let mut chosen = Vec::with_capacity(self.len().min(room));
        let (mut rows, mut preferred, mut complete) = (0, 0, false);
        let (mut oldest, mut latest_start) = (first.enqueued, None);
        let mut extent = self.policy.ragged.extent(first);
        for (position, request) in self.levels.iter().flat_map(Level::iter).enumerate() {
            if request.is_abandoned(now) || !request.stacks_with(first, &self.policy.ragged) {
                continue;
            }
            let with_it = rows + request.rows;
            if with_it > room {
                complete = true;
                break;
            }
            let in_time = self.rows_in_time(request, now);
            if with_it > in_time && !chosen.is_empty() {
                continue;
            }
            if let Some(extent) = &mut extent
                && !chosen.is_empty()
                && !extent.admit(request, with_it)
            {
                continue;
            }
            room = room.min(in_time.max(with_it));
            rows = with_it;
            oldest = oldest.min(request.enqueued);
            latest_start = latest_start.into_iter().chain(self.latest_start(request)).min();
            chosen.push(position);
            if self.policy.preferred_batch_sizes.contains(&rows) {
                preferred = chosen.len();
            }
            if rows == room {
                complete = true;
                break;
            }
        }
        if preferred > 0 {
            chosen.truncate(preferred);
        } else if !complete {
            let company = oldest + self.delay(now);
            let until = latest_start.map_or(company, |latest| company.min(latest));
            if now < until {
                return Next::Wait(until);
            }
        }
        Next::Run(self.take(&chosen))
    }

    /// Everything that waits, e.g. to refuse it.
    pub fn drain(&mut self) -> Vec<Request> {
        self.levels.iter_mut().flat_map(Level::lines).flat_map(line::Line::drain).collect()
    }

    fn first(&self) -> Option<&Request> {
        self.levels.iter().find_map(|level| level.iter().next())
    }

    /// Takes out what stands at these positions, in the order of service; what it returns no longer expires.
    fn take(&mut self, positions: &[usize]) -> Vec<Request> {
        let mut taken = Vec::with_capacity(positions.len());
        let (mut left, mut base) = (positions, 0);
        for line in self.levels.iter_mut().flat_map(Level::lines) {
            let end = base + line.len();
            let (here, behind) = left.split_at(left.partition_point(|position| *position < end));
            line.take(here, base, &mut taken);
            if behind.is_empty() {
                break;
            }
            (left, base) = (behind, end);
        }
        taken.retain(Request::claim);
        taken
    }
}
