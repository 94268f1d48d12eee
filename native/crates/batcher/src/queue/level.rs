//! The requests of one level of priority: those in time, and behind them those that are late.

use super::{LevelPolicy, line::Line};
use crate::Request;
use infermesh_wire::Error;
use std::time::{Duration, Instant};

/// A full level looks for requests that were given up at most this often: looking costs more than refusing.
const LOOK_EVERY: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub struct Level {
    policy: LevelPolicy,
    pub in_time: Line,
    pub late: Line,
    /// Nothing becomes late before this moment.
    next_late: Option<Instant>,
    looked: Option<Instant>,
}

impl Level {
    pub fn new(policy: LevelPolicy) -> Self {
        Self { policy, in_time: Line::default(), late: Line::default(), next_late: None, looked: None }
    }

    pub fn len(&self) -> usize {
        self.in_time.len() + self.late.len()
    }

    /// Rows of all waiting requests.
    pub fn rows(&self) -> usize {
        self.in_time.rows() + self.late.rows()
    }

    /// In the order of service.
    pub fn iter(&self) -> impl Iterator<Item = &Request> {
        self.in_time.iter().chain(self.late.iter())
    }

    pub fn lines(&mut self) -> [&mut Line; 2] {
        [&mut self.in_time, &mut self.late]
    }

    /// Fails with UNAVAILABLE when the level is full of requests that somebody still waits for.
    pub fn check_room(&mut self, now: Instant) -> Result<(), Error> {
        if self.len() < self.policy.max_queue_size {
            return Ok(());
        }
        if self.looked.is_none_or(|looked| looked + LOOK_EVERY <= now) {
            self.looked = Some(now);
            self.lines().into_iter().for_each(|line| line.forget_abandoned(now));
        }
        if self.len() < self.policy.max_queue_size {
            return Ok(());
        }
        Err(Error::busy("Exceeds maximum queue size"))
    }

    pub fn push(&mut self, request: Request) {
        self.next_late = self.next_late.into_iter().chain(request.late_at).min();
        self.in_time.push(request);
    }

    /// Drops what nobody waits for from the fronts, and moves back what has become late.
    pub fn tidy(&mut self, now: Instant) {
        if self.next_late.is_some_and(|late| late <= now) {
            let is_late = |request: &Request| request.late_at.is_some_and(|late| late <= now);
            let late = self.in_time.extract(is_late);
            late.into_iter().for_each(|request| self.late.push(request));
            self.next_late = self.in_time.iter().filter_map(|request| request.late_at).min();
        }
        for line in self.lines() {
            while line.front().is_some_and(|request| request.is_abandoned(now)) {
                line.pop();
            }
        }
    }
}
