//! Keeps what is said about peers to what a person can read: whoever floods a server should not flood its log.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

const PERIOD: Duration = Duration::from_secs(1);

/// Complaints in a period.
const MOST: u32 = 10;

#[derive(Debug)]
pub struct Complaints(Mutex<State>);

#[derive(Debug)]
struct State {
    since: Instant,
    said: u32,
    withheld: u64,
}

impl Default for Complaints {
    fn default() -> Self {
        Self(Mutex::new(State { since: Instant::now(), said: 0, withheld: 0 }))
    }
}

impl Complaints {
    /// Whether one more may be made, and how many were withheld since the last.
    pub fn next(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now >= state.since + PERIOD {
            (state.since, state.said) = (now, 0);
        }
        if state.said >= MOST {
            state.withheld += 1;
            return None;
        }
        state.said += 1;
        Some(std::mem::take(&mut state.withheld))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_told_in_a_few_words() {
        let complaints = Complaints::default();
        let start = Instant::now();
        assert_eq!((0..1_000).filter_map(|_| complaints.next(start)).count(), 10);
        assert_eq!(complaints.next(start + PERIOD), Some(990));
        assert_eq!(complaints.next(start + PERIOD), Some(0));
    }
}
