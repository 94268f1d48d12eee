//! Requests under way and those that wait for it: all of a route, whatever thread they are on.
//!
//! A place is given by whoever frees it, to the first in line and under the same lock: so there is never both room and
//! somebody who waits. Whoever is called may be on another thread, and is woken when the lock is free again.

mod place;
mod settings;
#[cfg(test)]
mod tests;
mod waiting;

pub use place::Place;
pub use waiting::Waiting;

use super::{numbers::Crowd, refusal::Refusal};
use crate::proto;
use http::HeaderMap;
use infermesh_policy::{
    Deadline, Priority,
    concurrency::{Ended, Limit},
    queue::{Popped, Pushed, Queue, Ticket},
};
use infermesh_wire::Error;
use settings::Settings;
use smallvec::SmallVec;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};
use tokio::sync::oneshot;

pub struct Line {
    settings: Settings,
    state: Mutex<State>,
}

struct State {
    limit: Limit,
    queue: Queue<oneshot::Sender<Called>>,
}

/// What one that waits is told.
type Called = Result<Place, Fate>;

/// Why it will not be its turn.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Displaced,
    Expired,
}

/// What a request finds.
pub enum Entered {
    AtOnce(Place),
    Waits(Waiting),
}

impl Line {
    /// Fails with the field that is wrong.
    pub fn new(given: &proto::Concurrency, now: Instant) -> Result<Self, String> {
        let settings = Settings::new(given)?;
        let limit = Limit::new(settings.limit.clone(), now);
        let queue = Queue::new(settings.queue.clone());
        Ok(Self { settings, state: Mutex::new(State { limit, queue }) })
    }

    /// Whether the limit depends on how requests end.
    pub fn adapts(&self) -> bool {
        self.settings.adapts()
    }

    /// What a request says of itself. Fails with INVALID_ARGUMENT if that is none.
    pub fn priority(&self, headers: &HeaderMap) -> Result<Priority, Error> {
        let name = &self.settings.priority;
        let Some(value) = headers.get(name) else { return Ok(Priority::default()) };
        Priority::parse(value.as_bytes()).ok_or_else(|| {
            let found = &value.as_bytes()[..value.len().min(32)];
            Error::invalid(format!("{name} is \"{}\": expected 0, 1, 2 or 3", found.escape_ascii()))
        })
    }

    /// Takes a place under way if there is one, else one in the queue.
    pub fn enter(
        self: &Arc<Self>,
        priority: Priority,
        deadline: Deadline,
        now: Instant,
    ) -> Result<Entered, Refusal> {
        let mut state = self.lock();
        if state.queue.is_empty() && state.limit.acquire(now) {
            return Ok(Entered::AtOnce(Place::new(self, now)));
        }
        let patience = now + self.settings.queue.timeout;
        let until = deadline.at().map_or(patience, |at| at.min(patience));
        let (caller, called) = oneshot::channel();
        let (ticket, leaves) = match state.queue.push(caller, priority, Some(until), now) {
            Pushed::Waits(ticket) => (ticket, None),
            Pushed::Replaces(ticket, other) => (ticket, Some((other, Fate::Expired))),
            Pushed::Displaces(ticket, other) => (ticket, Some((other, Fate::Displaced))),
            Pushed::Refused(_) => return Err(Refusal::Full(priority, state.crowd())),
        };
        drop(state);
        if let Some((other, fate)) = leaves {
            // It may have left meanwhile.
            let _ = other.send(Err(fate));
        }
        Ok(Entered::Waits(Waiting { line: self.clone(), ticket, called, deadline, until }))
    }

    pub fn crowd(&self) -> Crowd {
        self.lock().crowd()
    }

    /// Whether one that waited did so until now.
    fn leave(&self, ticket: Ticket) -> bool {
        self.lock().queue.remove(ticket).is_some()
    }

    /// One is no longer under way: it is the turn of as many as there is room for.
    fn release(self: &Arc<Self>, ended: Ended, now: Instant) {
        let mut state = self.lock();
        state.limit.release(ended, now);
        let calls: SmallVec<[_; 2]> = std::iter::from_fn(|| state.next(now)).collect();
        drop(state);
        for (caller, fate) in calls {
            // Who has left meanwhile drops its place by this, and so gives it to the next.
            let _ = caller.send(fate.map(|()| Place::new(self, now)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whom to call, now that there may be room.
    fn next(&mut self, now: Instant) -> Option<(oneshot::Sender<Called>, Result<(), Fate>)> {
        if !self.limit.has_room() {
            return None;
        }
        match self.queue.pop(now) {
            Popped::Turn(caller) => {
                self.limit.acquire(now);
                Some((caller, Ok(())))
            }
            Popped::Expired(caller) => Some((caller, Err(Fate::Expired))),
            Popped::Empty => None,
        }
    }

    fn crowd(&self) -> Crowd {
        let Self { limit, queue } = self;
        Crowd { limit: limit.limit(), in_flight: limit.in_flight(), waiting: queue.len() }
    }
}
