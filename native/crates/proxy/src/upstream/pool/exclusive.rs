//! HTTP/1.1 connections: one request at a time each, kept for the next.

use super::{
    super::{
        Failure,
        http1::{Connection, Unsent},
    },
    Kept,
    dial::Dial,
    queue::Queue,
};
use crate::{body::Body, request::message::Message};
use http::Response;
use std::{
    cell::{Cell, RefCell},
    rc::{Rc, Weak},
    time::Duration,
};
use tokio::sync::Notify;

/// What must not be sent twice is sent over a connection that was used just now, or over a new one: no server ends a
/// connection so soon, and none that it ends can take a request with it that nobody may repeat.
const SURE: Duration = Duration::from_secs(1);

pub struct Exclusive {
    dial: Rc<Dial>,
    /// The one that was used last is at the end.
    idle: RefCell<Vec<Connection>>,
    /// Connections, idle or not.
    count: Rc<Cell<usize>>,
    queue: Queue,
}

impl Exclusive {
    pub fn new(dial: Rc<Dial>) -> Rc<Self> {
        let queue = Queue::new(dial.to_string(), dial.settings.max_pending, dial.counts.clone());
        Rc::new(Self { dial, idle: RefCell::default(), count: Rc::default(), queue })
    }

    pub async fn send(self: &Rc<Self>, message: &Message<'_>) -> Result<(Response<Body>, Kept), Failure> {
        loop {
            let may_be_repeated = message.is_idempotent() && message.is_whole();
            let (connection, is_new) = match self.idle(may_be_repeated) {
                Some(connection) => (connection, false),
                None => self.wait(may_be_repeated).await?,
            };
            let pool = Rc::downgrade(self);
            let give_back = move |connection| {
                if let Some(pool) = pool.upgrade() {
                    pool.give_back(connection);
                }
            };
            match connection.send(message.head(), message.body(), give_back).await {
                Ok(response) => return Ok((response, Kept::default())),
                // It ended while it was idle; a new one was not.
                Err(Unsent::Certainly) if !is_new => {}
                Err(Unsent::Certainly) => {
                    return Err(Failure::Connect(format!("{} closed the connection at once", self.dial)));
                }
                Err(Unsent::Perhaps(_)) if !is_new && may_be_repeated && message.is_whole() => {}
                Err(Unsent::Perhaps(failure) | Unsent::No(failure)) => return Err(failure),
            }
        }
    }

    /// The connection that was used last. If that is not sure enough none is, and all of them end: there are servers that look
    /// at no new connection before the one that they have has ended.
    fn idle(&self, may_be_repeated: bool) -> Option<Connection> {
        let mut idle = self.idle.borrow_mut();
        if !may_be_repeated && idle.last().is_some_and(|last| last.idle_for() > SURE) {
            idle.clear();
        }
        idle.pop()
    }

    /// A new connection, or the first that is given back; and whether it is new.
    async fn wait(self: &Rc<Self>, may_be_repeated: bool) -> Result<(Connection, bool), Failure> {
        let waiting = self.queue.join()?;
        loop {
            if let Some(connection) = self.idle(may_be_repeated) {
                return Ok((connection, false));
            }
            if self.count.get() < self.dial.settings.max_http1 {
                let opened = self.dial.http1(Place::take(self)).await;
                return Ok((opened.map_err(Failure::Connect)?, true));
            }
            waiting.news().await?;
        }
    }

    fn give_back(&self, connection: Connection) {
        self.idle.borrow_mut().push(connection);
        self.queue.news.notify_waiters();
    }
}

/// One of the connections that there may be, until it has ended.
struct Place {
    pool: Weak<Exclusive>,
    count: Rc<Cell<usize>>,
    news: Rc<Notify>,
}

impl Place {
    fn take(pool: &Rc<Exclusive>) -> Self {
        pool.count.set(pool.count.get() + 1);
        Self { pool: Rc::downgrade(pool), count: pool.count.clone(), news: pool.queue.news.clone() }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.count.set(self.count.get() - 1);
        if let Some(pool) = self.pool.upgrade() {
            pool.idle.borrow_mut().retain(|connection| !connection.is_closed());
        }
        self.news.notify_waiters();
    }
}
