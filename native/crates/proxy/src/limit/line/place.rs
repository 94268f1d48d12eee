//! One of the requests under way.

use super::Line;
use infermesh_policy::concurrency::Ended;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::Instant as Clock;

/// Dropped before its end is told, it says nothing about the upstream.
pub struct Place {
    line: Option<Arc<Line>>,
    since: Instant,
}

impl Place {
    /// What `line` has room for since then.
    pub(super) fn new(line: &Arc<Line>, since: Instant) -> Self {
        Self { line: Some(line.clone()), since }
    }

    /// For how long it has been under way.
    pub fn latency(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }

    pub fn end(mut self, ended: Ended, now: Instant) {
        if let Some(line) = self.line.take() {
            line.release(ended, now);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(line) = self.line.take() {
            line.release(Ended::Otherwise, Clock::now().into_std());
        }
    }
}
