//! Which requests form the next batch, and when. Pure: it never looks at a clock or a thread.
//!
//! `policy` is what the configuration says.

mod policy;
#[cfg(test)]
mod tests;

pub use policy::{DEFAULT_MAX_QUEUE_SIZE, Policy};

use crate::Request;
use infermesh_wire::{Code, Error};
use std::{collections::VecDeque, time::Instant};

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
    waiting: VecDeque<Request>,
    rows: usize,
}

impl Queue {
    pub fn new(policy: Policy) -> Self {
        Self { policy, waiting: VecDeque::new(), rows: 0 }
    }

    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Rows of all waiting requests.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Fails with UNAVAILABLE when the queue is full of requests that somebody still waits for.
    pub fn push(&mut self, request: Request, now: Instant) -> Result<(), Error> {
        if self.waiting.len() >= self.policy.max_queue_size {
            self.waiting.retain(|waiting| !waiting.is_abandoned(now));
            self.rows = self.waiting.iter().map(|waiting| waiting.rows).sum();
            if self.waiting.len() >= self.policy.max_queue_size {
                return Err(Error::new(Code::Unavailable, "Exceeds maximum queue size"));
            }
        }
        self.rows += request.rows;
        self.waiting.push_back(request);
        Ok(())
    }

    /// The next batch, in order of arrival. The oldest request is always part of it; requests of another shape stay
    /// behind for a later one, and what nobody waits for is dropped.
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
        while self.waiting.front().is_some_and(|request| request.is_abandoned(now)) {
            self.remove(0);
        }
        let Some(oldest) = self.waiting.front() else { return Next::Empty };
        if !self.policy.dynamic {
            return Next::Run(self.take(&[0]));
        }

        let mut chosen = Vec::with_capacity(self.waiting.len().min(self.policy.max_batch_size));
        let (mut rows, mut preferred, mut complete) = (0, 0, false);
        for (index, request) in self.waiting.iter().enumerate() {
            if request.is_abandoned(now) || !request.stacks_with(oldest) {
                continue;
            }
            if rows + request.rows > self.policy.max_batch_size {
                complete = true;
                break;
            }
            rows += request.rows;
            chosen.push(index);
            if self.policy.preferred_batch_sizes.contains(&rows) {
                preferred = chosen.len();
            }
            if rows == self.policy.max_batch_size {
                complete = true;
                break;
            }
        }
        let due = oldest.enqueued + self.policy.max_queue_delay;
        if preferred > 0 {
            chosen.truncate(preferred);
        } else if !complete && now < due {
            return Next::Wait(due);
        }
        Next::Run(self.take(&chosen))
    }

    /// Everything that waits, e.g. to refuse it.
    pub fn drain(&mut self) -> Vec<Request> {
        self.rows = 0;
        self.waiting.drain(..).collect()
    }

    fn take(&mut self, chosen: &[usize]) -> Vec<Request> {
        let is_prefix = chosen.last() == Some(&(chosen.len() - 1));
        let mut taken: Vec<Request> = if is_prefix {
            self.waiting.drain(..chosen.len()).collect()
        } else {
            let mut chosen = chosen.iter().copied().peekable();
            let (mut taken, mut left) = (Vec::new(), VecDeque::with_capacity(self.waiting.len()));
            for (index, request) in self.waiting.drain(..).enumerate() {
                if chosen.next_if_eq(&index).is_some() {
                    taken.push(request);
                } else {
                    left.push_back(request);
                }
            }
            self.waiting = left;
            taken
        };
        self.rows -= taken.iter().map(|request| request.rows).sum::<usize>();
        taken.retain(Request::claim);
        taken
    }

    fn remove(&mut self, index: usize) {
        if let Some(request) = self.waiting.remove(index) {
            self.rows -= request.rows;
        }
    }
}
