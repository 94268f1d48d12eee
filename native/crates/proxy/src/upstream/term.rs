//! How long a connection takes requests.

use infermesh_policy::age::{Age, Stage};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::{Instant, Interval, interval};

/// A connection is looked at no more often than this.
const SHORTEST_BEAT: Duration = Duration::from_millis(5);

/// When connections are asked for a sign of life, and when they end.
#[derive(Debug, Clone, Copy)]
pub struct Habits {
    pub keepalive: Duration,
    pub keepalive_timeout: Duration,
    pub idle: Duration,
}

/// Of one connection.
#[derive(Debug, Clone)]
pub struct Term {
    pub habits: Habits,
    pub age: Age,
    /// Whether its endpoint is no longer one of its cluster.
    pub gone: Arc<AtomicBool>,
}

impl Term {
    /// Whether it takes no more requests. `idle_since`: there is none under way.
    pub fn is_over(&self, now: Instant, idle_since: Option<Instant>) -> bool {
        self.gone.load(Relaxed)
            || self.age.stage(now.into_std()) != Stage::Young
            || idle_since.is_some_and(|since| now >= since + self.habits.idle)
    }

    /// When it is looked at: often enough for all that is to be noticed.
    pub fn beats(&self) -> Interval {
        let now = Instant::now().into_std();
        let left = self.age.next_stage(now).map(|moment| moment.saturating_duration_since(now));
        let Habits { keepalive, keepalive_timeout, idle } = self.habits;
        let shortest = left.into_iter().fold(keepalive.min(keepalive_timeout).min(idle), Duration::min);
        interval((shortest / 2).max(SHORTEST_BEAT))
    }
}
