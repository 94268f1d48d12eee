//! Requests that stand in line, and how many rows they have together.

use crate::Request;
use std::{collections::VecDeque, time::Instant};

#[derive(Debug, Default)]
pub struct Line {
    waiting: VecDeque<Request>,
    rows: usize,
}

impl Line {
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn iter(&self) -> impl Iterator<Item = &Request> {
        self.waiting.iter()
    }

    pub fn front(&self) -> Option<&Request> {
        self.waiting.front()
    }

    pub fn push(&mut self, request: Request) {
        self.rows += request.rows;
        self.waiting.push_back(request);
    }

    pub fn pop(&mut self) -> Option<Request> {
        let request = self.waiting.pop_front()?;
        self.rows -= request.rows;
        Some(request)
    }

    pub fn forget_abandoned(&mut self, now: Instant) {
        self.waiting.retain(|request| !request.is_abandoned(now));
        self.rows = self.waiting.iter().map(|request| request.rows).sum();
    }

    /// Takes out the requests at ascending `positions`, where the first one in line is number `base`.
    pub fn take(&mut self, positions: &[usize], base: usize, taken: &mut Vec<Request>) {
        let Some(last) = positions.last() else { return };
        if last - base < positions.len() {
            for request in self.waiting.drain(..positions.len()) {
                self.rows -= request.rows;
                taken.push(request);
            }
            return;
        }
        let (mut here, mut positions) = (base.., positions.iter().peekable());
        taken
            .extend(self.extract(|_| here.next().is_some_and(|here| positions.next_if_eq(&&here).is_some())));
    }

    /// Takes out, in order, what `is_wanted` says; it is asked once for each.
    pub fn extract(&mut self, mut is_wanted: impl FnMut(&Request) -> bool) -> Vec<Request> {
        let (mut taken, mut left) = (Vec::new(), VecDeque::with_capacity(self.waiting.len()));
        for request in self.waiting.drain(..) {
            if is_wanted(&request) {
                self.rows -= request.rows;
                taken.push(request);
            } else {
                left.push_back(request);
            }
        }
        self.waiting = left;
        taken
    }

    pub fn drain(&mut self) -> impl Iterator<Item = Request> {
        self.rows = 0;
        self.waiting.drain(..)
    }
}
