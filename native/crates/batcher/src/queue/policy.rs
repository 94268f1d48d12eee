//! How a model batches, in the terms of its configuration.

use crate::sequence::Plan;
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
    /// Requests.
    pub max_queue_size: usize,
    /// Of a model whose requests belong to sequences; then nothing else says how they form batches.
    pub sequences: Option<Plan>,
    /// How long a request may wait for an instance before it is refused.
    pub timeout: Option<Duration>,
    /// Whether a request may ask for less than that, or for any limit where there is none.
    pub allow_timeout_override: bool,
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
            max_queue_size: DEFAULT_MAX_QUEUE_SIZE,
            sequences: None,
            timeout: None,
            allow_timeout_override: false,
        }
    }
}

impl Policy {
    /// Whether a free instance takes whatever is there instead of waiting for more.
    pub fn is_immediate(&self) -> bool {
        self.sequences.is_none() && (!self.dynamic || self.max_queue_delay.is_zero())
    }

    /// How long a request that asks for `own` may wait.
    pub fn patience(&self, own: Option<Duration>) -> Option<Duration> {
        match own.filter(|_| self.allow_timeout_override) {
            Some(own) => Some(self.timeout.map_or(own, |limit| own.min(limit))),
            None => self.timeout,
        }
    }

    /// So many waiting rows may complete a batch before its delay is over.
    pub fn interesting_rows(&self) -> usize {
        self.preferred_batch_sizes.first().copied().unwrap_or(self.max_batch_size).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_may_shorten_its_wait_where_that_is_allowed() {
        let (short, long) = (Duration::from_micros(1), Duration::from_micros(9));
        let fixed = Policy { timeout: Some(short), ..Policy::default() };
        assert_eq!((fixed.patience(None), fixed.patience(Some(long))), (Some(short), Some(short)));
        let open = Policy { timeout: Some(long), allow_timeout_override: true, ..Policy::default() };
        assert_eq!((open.patience(Some(short)), open.patience(Some(long * 2))), (Some(short), Some(long)));
        let none = Policy { allow_timeout_override: true, ..Policy::default() };
        assert_eq!((none.patience(None), none.patience(Some(short))), (None, Some(short)));
    }
}
