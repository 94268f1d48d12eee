//! Connections of one network thread to one endpoint.

use super::{
    Failure,
    address::Address,
    connect::{Secure, Socket, connect},
    http1::{self, Outgoing},
    http2::{self, Answered, Habits, Uploading, Use},
};
use crate::{body::Body, request::source::Reader};
use futures_util::future::{FutureExt, LocalBoxFuture, Shared};
use http::{Request, Response, header::CONTENT_LENGTH};
use infermesh_transport::tls::{HTTP1, HTTP2};
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Duration,
};
use tokio::{sync::Notify, task::spawn_local, time::Instant};

/// Connections found to be gone before a new one is tried.
const STALE: usize = 3;

#[derive(Debug, Clone, Copy)]
pub struct Settings {
    pub connect_timeout: Duration,
    pub max_http2: usize,
    pub max_http1: usize,
    /// Requests that may wait for a connection.
    pub max_pending: usize,
    pub habits: Habits,
}

type Opened = Result<Rc<http2::Connection>, String>;

pub struct Pool {
    address: Address,
    settings: Settings,
    tls: Option<Arc<Secure>>,
    http2: RefCell<Vec<Rc<http2::Connection>>>,
    /// The HTTP/2 connection that is being made.
    opening: RefCell<Option<Shared<LocalBoxFuture<'static, Opened>>>>,
    idle: RefCell<Vec<Idle>>,
    /// HTTP/1.1 connections, idle or not.
    http1: Rc<Cell<usize>>,
    waiting: Rc<Cell<usize>>,
    news: Rc<Notify>,
}

/// What has to be kept until an answer's body has ended.
#[derive(Default)]
pub struct Kept {
    _in_use: Option<Use>,
    _uploading: Uploading,
}

impl Pool {
    pub fn new(address: Address, settings: Settings, tls: Option<Arc<Secure>>) -> Rc<Self> {
        Rc::new(Self {
            address,
            settings,
            tls,
            http2: RefCell::default(),
            opening: RefCell::default(),
            idle: RefCell::default(),
            http1: Rc::default(),
            waiting: Rc::default(),
            news: Rc::default(),
        })
    }

    /// Sends a request over HTTP/2, and waits for the head of its answer.
    pub async fn send_http2(
        self: &Rc<Self>,
        head: impl Fn() -> Request<()>,
        body: impl Fn() -> Reader,
    ) -> Result<(Response<Body>, Kept), Failure> {
        for _ in 0..STALE {
            let in_use = match self.free_http2() {
                Some(place) => place,
                None => Box::pin(self.wait_for_http2()).await?,
            };
            match in_use.send(head(), body()).await {
                Ok(Answered { response, in_use, uploading }) => {
                    return Ok((response, Kept { _in_use: Some(in_use), _uploading: uploading }));
                }
                Err(None) => {}
                Err(Some(failure)) => return Err(failure),
            }
        }
        Err(Failure::Connect(format!("{} closes its connections as soon as they are used", self.address)))
    }

    /// A place on the least loaded connection.
    fn free_http2(&self) -> Option<Use> {
        let mut connections = self.http2.borrow_mut();
        connections.retain(|connection| connection.load().is_some());
        let free = connections.iter().filter(|connection| connection.has_room());
        free.min_by_key(|connection| connection.load()).map(http2::Connection::take)
    }

    /// A place on a new connection, or on the first that has room again.
    async fn wait_for_http2(self: &Rc<Self>) -> Result<Use, Failure> {
        let _waiting = Waiting::begin(self)?;
        loop {
            if let Some(place) = self.free_http2() {
                return Ok(place);
            }
            if self.http2.borrow().len() < self.settings.max_http2 {
                self.open_http2().await.map_err(Failure::Connect)?;
            } else {
                self.news.notified().await;
            }
        }
    }

    /// Makes one connection, whoever and however many wait for it; and to its end, even if nobody does any more.
    fn open_http2(self: &Rc<Self>) -> Shared<LocalBoxFuture<'static, Opened>> {
        let opening = &mut *self.opening.borrow_mut();
        opening
            .get_or_insert_with(|| {
                let this = self.clone();
                let task = spawn_local(async move {
                    let opened = this.connect_http2().await;
                    if let Ok(connection) = &opened {
                        this.http2.borrow_mut().push(connection.clone());
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

    async fn connect_http2(&self) -> Opened {
        let Settings { connect_timeout, habits, .. } = self.settings;
        let news = self.news.clone();
        let opened = match self.connect(HTTP2).await? {
            Socket::Tcp(io) => http2::Connection::open(io, habits, connect_timeout, news).await,
            Socket::Tls(io) => http2::Connection::open(io, habits, connect_timeout, news).await,
            Socket::Unix(io) => http2::Connection::open(io, habits, connect_timeout, news).await,
        };
        opened.map_err(|why| format!("{}: {why}", self.address))
    }

    async fn connect(&self, protocol: &'static [u8]) -> Result<Socket, String> {
        connect(&self.address, self.tls.as_deref(), protocol, self.settings.connect_timeout).await
    }

    /// Sends a request over HTTP/1.1, and waits for the head of its answer.
    pub async fn send_http1(
        self: &Rc<Self>,
        head: impl Fn() -> Request<()>,
        body: impl Fn() -> Reader,
    ) -> Result<(Response<Body>, Kept), Failure> {
        loop {
            let Idle { connection, place, since } = self.http1_connection().await?;
            let (mut head, pool) = (head(), Rc::downgrade(self));
            let size = head.headers().get(CONTENT_LENGTH).and_then(|size| size.to_str().ok()?.parse().ok());
            http1::translate(&mut head);
            let give_back = move |connection| {
                if let Some(pool) = pool.upgrade() {
                    pool.idle.borrow_mut().push(Idle { connection, place, since: Some(Instant::now()) });
                    pool.news.notify_waiters();
                }
            };
            match http1::send(connection, head, Outgoing::new(body(), size), give_back).await {
                Ok(response) => return Ok((response, Kept::default())),
                // One that was idle may have been closed meanwhile; a new one was not.
                Err(None) if since.is_some() => {}
                Err(None) => {
                    return Err(Failure::Connect(format!("{} closed the connection at once", self.address)));
                }
                Err(Some(failure)) => return Err(failure),
            }
        }
    }

    /// An idle connection, the one that was used last; or a new one, while there may be more.
    async fn http1_connection(self: &Rc<Self>) -> Result<Idle, Failure> {
        let mut waiting = None;
        loop {
            let now = Instant::now();
            loop {
                let Some(idle) = self.idle.borrow_mut().pop() else { break };
                let is_fresh = idle.since.is_some_and(|since| now < since + self.settings.habits.idle);
                if is_fresh && !idle.connection.is_closed() {
                    return Ok(idle);
                }
            }
            if self.http1.get() < self.settings.max_http1 {
                let place = Place::take(&self.http1, &self.news);
                let connection = match self.connect(HTTP1).await.map_err(Failure::Connect)? {
                    Socket::Tcp(io) => http1::open(io).await,
                    Socket::Tls(io) => http1::open(io).await,
                    Socket::Unix(io) => http1::open(io).await,
                };
                return Ok(Idle { connection: connection.map_err(Failure::Connect)?, place, since: None });
            }
            if waiting.is_none() {
                waiting = Some(Waiting::begin(self)?);
            }
            self.news.notified().await;
        }
    }
}

/// An HTTP/1.1 connection that nobody uses.
struct Idle {
    connection: http1::Connection,
    place: Place,
    /// Since when; `None` for a new one.
    since: Option<Instant>,
}

/// One of the HTTP/1.1 connections that there may be, until this is dropped.
struct Place {
    taken: Rc<Cell<usize>>,
    news: Rc<Notify>,
}

impl Place {
    fn take(taken: &Rc<Cell<usize>>, news: &Rc<Notify>) -> Self {
        taken.set(taken.get() + 1);
        Self { taken: taken.clone(), news: news.clone() }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.taken.set(self.taken.get() - 1);
        self.news.notify_waiters();
    }
}

/// A request that waits for a connection.
struct Waiting(Rc<Cell<usize>>);

impl Waiting {
    fn begin(pool: &Pool) -> Result<Self, Failure> {
        let others = pool.waiting.get();
        if others >= pool.settings.max_pending {
            let why = format!("{others} requests wait for a connection to {} already", pool.address);
            return Err(Failure::Full(why));
        }
        pool.waiting.set(others + 1);
        Ok(Self(pool.waiting.clone()))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
