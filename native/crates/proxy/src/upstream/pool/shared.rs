//! HTTP/2 connections: requests share them.

use super::{
    super::{
        Failure,
        http2::{Answered, Connection, Use},
    },
    Kept,
    dial::Dial,
    queue::Queue,
};
use crate::{
    body::{Body, Cause},
    request::message::Message,
};
use futures_util::future::{FutureExt, LocalBoxFuture};
use http::Response;
use std::{cell::RefCell, rc::Rc};
use tokio::task::spawn_local;

type Opening = futures_util::future::Shared<LocalBoxFuture<'static, Result<Rc<Connection>, String>>>;

/// Connections that may be found to be ending before it is said that all of them are.
const MOST_ENDING: usize = 16;

pub struct Shared {
    dial: Rc<Dial>,
    connections: RefCell<Vec<Rc<Connection>>>,
    /// The one that is being made.
    opening: RefCell<Option<Opening>>,
    queue: Queue,
}

impl Shared {
    pub fn new(dial: Rc<Dial>) -> Rc<Self> {
        let queue = Queue::new(dial.to_string(), dial.settings.max_pending, dial.counts.clone());
        Rc::new(Self { dial, connections: RefCell::default(), opening: RefCell::default(), queue })
    }

    pub async fn send(self: &Rc<Self>, message: &Message<'_>) -> Result<(Response<Body>, Kept), Failure> {
        for _ in 0..MOST_ENDING {
            let in_use = match self.free() {
                Some(place) => place,
                None => Box::pin(self.wait()).await?,
            };
            match in_use.send(message.head(), message.body()).await {
                Ok(Answered { response, in_use, uploading }) => {
                    return Ok((response, Kept { _in_use: Some(in_use), _uploading: uploading }));
                }
                Err(None) => {}
                // It crossed the server's farewell.
                Err(Some(Failure::Lost(lost))) if lost.cause == Cause::Left && message.is_whole() => {}
                Err(Some(failure)) => return Err(failure),
            }
        }
        Err(Failure::Connect(format!("{} ends its connections as soon as they are used", self.dial)))
    }

    /// A place on the least loaded connection.
    fn free(&self) -> Option<Use> {
        let mut connections = self.connections.borrow_mut();
        connections.retain(|connection| connection.load().is_some());
        let free = connections.iter().filter(|connection| connection.has_room());
        free.min_by_key(|connection| connection.load()).map(Connection::take)
    }

    /// A place on a new connection, or on the first that has room again.
    async fn wait(self: &Rc<Self>) -> Result<Use, Failure> {
        let waiting = self.queue.join()?;
        loop {
            if let Some(place) = self.free() {
                return Ok(place);
            }
            if self.connections.borrow().len() < self.dial.settings.max_http2 {
                self.open().await.map_err(Failure::Connect)?;
            } else {
                waiting.news().await?;
            }
        }
    }

    /// Makes one connection, whoever and however many wait for it; and to its end, even if nobody does any more.
    fn open(self: &Rc<Self>) -> Opening {
        let opening = &mut *self.opening.borrow_mut();
        opening
            .get_or_insert_with(|| {
                let this = self.clone();
                let task = spawn_local(async move {
                    let opened = this.dial.http2(this.queue.news.clone()).await;
                    if let Ok(connection) = &opened {
                        this.connections.borrow_mut().push(connection.clone());
                    }
                    *this.opening.borrow_mut() = None;
                    opened
                });
                async { task.await.unwrap_or_else(|_| Err("the thread ends".to_owned())) }
                    .boxed_local()
                    .shared()
            })
            .clone()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.connections.borrow().iter().for_each(|connection| connection.close());
    }
}
