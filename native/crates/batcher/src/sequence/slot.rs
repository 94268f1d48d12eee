//! One sequence while it is known: its requests that wait, and its state between two of them.

use super::{SequenceId, Turn};
use crate::{Request, Tensor};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

#[derive(Debug)]
pub struct Sequence {
    pub id: SequenceId,
    /// In the order in which sequences began; tells one from a later one of the same id.
    pub key: u64,
    pub waiting: VecDeque<Request>,
    /// What the next request reads; empty before the first one is done.
    pub state: Vec<Tensor>,
    /// The caller of the first that waits gave it up at the moment at which it was to run.
    pub lost: bool,
    /// A request of it is in the batch that runs.
    pub runs: bool,
    /// When a request last arrived or ended.
    pub heard: Instant,
}

impl Sequence {
    pub fn new(id: SequenceId, key: u64, now: Instant) -> Self {
        Self { id, key, waiting: VecDeque::new(), state: Vec::new(), lost: false, runs: false, heard: now }
    }

    pub fn push(&mut self, request: Request, now: Instant) {
        self.heard = now;
        self.waiting.push_back(request);
    }

    /// When it will have been silent for too long, if nothing is heard before.
    pub fn falls_idle(&self, patience: Duration) -> Option<Instant> {
        (!self.runs && self.waiting.is_empty()).then(|| self.heard + patience)
    }

    /// Takes out the requests that cannot run any more because one before them was given up: what follows it would be
    /// computed without it. A request that begins the sequence anew can run.
    pub fn cut(&mut self, now: Instant) -> Vec<Request> {
        let lost = std::mem::take(&mut self.lost);
        if !lost && !self.waiting.front().is_some_and(|request| request.is_abandoned(now)) {
            return Vec::new();
        }
        let starts_anew =
            |request: &Request| turn(request).is_some_and(|turn| turn.start) && !request.is_abandoned(now);
        let behind = self.waiting.iter().skip(1).position(starts_anew);
        self.waiting.drain(..behind.map_or(self.waiting.len(), |behind| behind + 1)).collect()
    }
}

pub fn turn(request: &Request) -> Option<&Turn> {
    request.turn.as_deref()
}
