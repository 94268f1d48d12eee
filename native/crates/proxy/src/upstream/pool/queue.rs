//! Requests that wait for a connection: so many, and so long.

use super::super::Failure;
use crate::observe::metrics::{Attempts, Counted};
use std::{cell::Cell, rc::Rc, sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, futures::Notified},
    time::{Instant, timeout_at},
};

/// A request without a deadline does not wait longer than this for others to end.
const LONGEST: Duration = Duration::from_secs(30);

pub struct Queue {
    /// Where to.
    address: String,
    max: usize,
    waiting: Rc<Cell<usize>>,
    counts: Arc<Attempts>,
    /// Told when there may be room.
    pub news: Rc<Notify>,
}

impl Queue {
    pub fn new(address: String, max: usize, counts: Arc<Attempts>) -> Self {
        Self { address, max, waiting: Rc::default(), counts, news: Rc::default() }
    }

    /// Fails at once if too many wait already.
    pub fn join(&self) -> Result<Waiting<'_>, Failure> {
        let others = self.waiting.get();
        if others >= self.max {
            let to = &self.address;
            return Err(Failure::Full(format!("{others} requests wait for a connection to {to} already")));
        }
        self.waiting.set(others + 1);
        Ok(Waiting { queue: self, until: Instant::now() + LONGEST, _counted: self.counts.waiting() })
    }
}

/// One of them, until this is dropped.
pub struct Waiting<'a> {
    queue: &'a Queue,
    until: Instant,
    _counted: Counted,
}

impl Waiting<'_> {
    /// Waits until there may be room. Fails when it has been long enough.
    pub async fn news(&self) -> Result<(), Failure> {
        let news: Notified<'_> = self.queue.news.notified();
        timeout_at(self.until, news).await.map_err(|_| {
            let to = &self.queue.address;
            Failure::Full(format!("all connections to {to} have been full for {LONGEST:?}"))
        })
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.queue.waiting.set(self.queue.waiting.get() - 1);
    }
}
