//! How a model batches, in the terms of its configuration.

use crate::{Expiry, Request, ragged::Ragged, sequence::Plan};
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct Policy {
    /// Rows; 0: the model has no batch dimension and every request runs alone.
    pub max_batch_size: usize,
    /// Whether requests are combined at all.
    pub dynamic: bool,
    /// Rows, in ascending order.
    pub preferred_batch_sizes: Vec<usize>,
    /// How long the oldest request may wait for company.
    pub max_queue_delay: Duration,
    /// From arrival to answer. The delay then tunes itself and `max_queue_delay`, where it is not zero, bounds it.
    pub slo: Option<Duration>,
    /// Whether answers leave in the order in which their batches were formed.
    pub preserve_ordering: bool,
    /// Of a model whose requests belong to sequences; then nothing else says how they form batches.
    pub sequences: Option<Plan>,
    /// One per level of priority, in the order of service; never empty.
    pub levels: Vec<LevelPolicy>,
    /// The level of requests that name none.
    pub default_level: usize,
    /// The inputs in which requests of one batch may differ in shape.
    pub ragged: Ragged,
}

/// How the requests of one level of priority wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LevelPolicy {
    /// Requests.
    pub max_queue_size: usize,
    /// How long a request may wait for an instance.
    pub timeout: Option<Duration>,
    /// Whether a request may ask for less than that, or for any limit where there is none.
    pub allow_timeout_override: bool,
    pub timeout_action: TimeoutAction,
}

/// What becomes of a request that has waited too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeoutAction {
    /// It is refused when its time is over.
    Refuse,
    /// It stands behind everything of its level that is still in time.
    Delay,
}

/// Requests that may wait where the configuration names no limit: no queue is without one.
pub const DEFAULT_MAX_QUEUE_SIZE: usize = 16_384;

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_batch_size: 0,
            dynamic: false,
            preferred_batch_sizes: Vec::new(),
            max_queue_delay: Duration::ZERO,
            slo: None,
            preserve_ordering: false,
            sequences: None,
            levels: vec![LevelPolicy::default()],
            default_level: 0,
            ragged: Ragged::default(),
        }
    }
}

impl Default for LevelPolicy {
    fn default() -> Self {
        Self {
            max_queue_size: DEFAULT_MAX_QUEUE_SIZE,
            timeout: None,
            allow_timeout_override: false,
            timeout_action: TimeoutAction::Refuse,
        }
    }
}

impl Policy {
    /// Whether a free instance takes whatever is there instead of waiting for more.
    pub fn is_immediate(&self) -> bool {
        self.sequences.is_none() && (!self.dynamic || (self.max_queue_delay.is_zero() && self.slo.is_none()))
    }

    /// So many waiting rows may complete a batch before its delay is over.
    pub fn interesting_rows(&self) -> usize {
        self.preferred_batch_sizes.first().copied().unwrap_or(self.max_batch_size).max(1)
    }

    /// Rows of a batch that has all the company it can get, in a queue whose requests have `mean` rows.
    pub fn full_batch(&self, mean: usize) -> usize {
        if self.dynamic { self.max_batch_size } else { mean }.max(1)
    }

    /// Puts a request where its caller wants it: `priority` counts from 1, and 0, as everything beyond the last
    /// level, is the default; `timeout` is how long it wants to wait at most.
    pub fn place(&self, request: &mut Request, priority: u64, timeout: Option<Duration>) {
        let named = usize::try_from(priority).ok().and_then(|priority| priority.checked_sub(1));
        request.level = named.filter(|level| *level < self.levels.len()).unwrap_or(self.default_level);
        let level = self.levels[request.level];
        let mut patience = level.patience(timeout);
        if level.timeout_action == TimeoutAction::Delay {
            request.late_at = patience.take().map(|patience| request.enqueued + patience);
        }
        // What starts after its objective is over would be late in any case.
        let limit = patience.into_iter().chain(self.slo).min();
        request.expiry = limit.map(|limit| Expiry::new(request.enqueued + limit));
    }
}

impl LevelPolicy {
    /// How long a request that asks for `own` may wait.
    fn patience(&self, own: Option<Duration>) -> Option<Duration> {
        match own.filter(|_| self.allow_timeout_override) {
            Some(own) => Some(self.timeout.map_or(own, |limit| own.min(limit))),
            None => self.timeout,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mailbox;
    use smallvec::smallvec;
    use std::time::Instant;

    const SHORT: Duration = Duration::from_micros(1);
    const LONG: Duration = Duration::from_micros(9);

    fn placed(policy: &Policy, priority: u64, timeout: Option<Duration>) -> Request {
        let (mut request, _) = Request::new(smallvec![], 1, Instant::now(), Mailbox::for_this_thread());
        policy.place(&mut request, priority, timeout);
        request
    }

    fn expires(policy: &Policy, timeout: Option<Duration>) -> Option<Duration> {
        let request = placed(policy, 0, timeout);
        request.expiry.map(|expiry| expiry.at - request.enqueued)
    }

    fn with(level: LevelPolicy) -> Policy {
        Policy { levels: vec![level], ..Policy::default() }
    }

    #[test]
    fn a_caller_may_shorten_its_wait_where_that_is_allowed() {
        let fixed = with(LevelPolicy { timeout: Some(SHORT), ..LevelPolicy::default() });
        assert_eq!((expires(&fixed, None), expires(&fixed, Some(LONG))), (Some(SHORT), Some(SHORT)));
        let level = LevelPolicy { allow_timeout_override: true, ..LevelPolicy::default() };
        let open = with(LevelPolicy { timeout: Some(LONG), ..level });
        assert_eq!((expires(&open, Some(SHORT)), expires(&open, Some(LONG * 2))), (Some(SHORT), Some(LONG)));
        let none = with(level);
        assert_eq!((expires(&none, None), expires(&none, Some(SHORT))), (None, Some(SHORT)));
    }

    #[test]
    fn an_objective_ends_every_wait() {
        let level = LevelPolicy { timeout: Some(SHORT), ..LevelPolicy::default() };
        let refusing = Policy { slo: Some(LONG), ..with(level) };
        assert_eq!(expires(&refusing, None), Some(SHORT));
        let delaying = LevelPolicy { timeout_action: TimeoutAction::Delay, ..level };
        let request = placed(&Policy { slo: Some(LONG), ..with(delaying) }, 0, None);
        assert_eq!(request.late_at, Some(request.enqueued + SHORT));
        assert_eq!(request.expiry.map(|expiry| expiry.at), Some(request.enqueued + LONG));
    }

    #[test]
    fn levels_count_from_one_and_the_rest_is_the_default() {
        let policy =
            Policy { levels: vec![LevelPolicy::default(); 3], default_level: 1, ..Policy::default() };
        let levels = [0, 1, 2, 3, 4, u64::MAX].map(|priority| placed(&policy, priority, None).level);
        assert_eq!(levels, [1, 0, 1, 2, 1, 1]);
    }
}
