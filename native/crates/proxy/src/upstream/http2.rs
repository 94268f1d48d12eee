//! One HTTP/2 connection to an endpoint: requests that share it, its signs of life, its end.

use super::{
    Failure,
    connect::Limit,
    listening::Listening,
    pulse::{Heard, Order, Pulse},
    term::Term,
};
use crate::{
    body::{Body, Io, Lost},
    observe::metrics::Counted,
    request::{source::Reader, upload::Upload},
};
use bytes::Bytes;
use h2::{
    Ping,
    client::{Builder, SendRequest},
};
use http::{Request, Response};
use infermesh_transport::lazy::Lazy;
use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
};
use tokio::{
    sync::Notify,
    task::{AbortHandle, spawn_local},
    time::{Instant, timeout_at},
};

/// Unread bytes that an upstream may send ahead, for one answer. For all together there is no limit: a few answers that
/// nobody reads would use it up, and hold up those of everybody else on the connection.
const STREAM_WINDOW: u32 = 2 << 20;
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;

/// A larger frame saves a copy.
const MAX_FRAME: u32 = 1 << 20;

/// Of an answer, as they are when decoded.
const MAX_HEADER_BYTES: u32 = 64 << 10;

/// Bytes of one request that may wait in the connection's buffer.
const SEND_BUFFER: usize = 1 << 20;

/// Requests on one connection: there are not many more numbers for streams.
const MAX_REQUESTS: u32 = 1 << 29;

pub struct Connection {
    sender: RefCell<SendRequest<Bytes>>,
    /// Requests under way.
    active: Cell<usize>,
    /// Requests so far.
    taken: Cell<u32>,
    /// Takes no more requests: too old, or gone.
    closed: Cell<bool>,
    idle_since: Cell<Instant>,
    /// Told when a request has ended or the connection takes no more.
    news: Rc<Notify>,
}

/// A request under way on a connection, for as long as this lives.
pub struct Use(Rc<Connection>);

impl Drop for Use {
    fn drop(&mut self) {
        let left = self.0.active.get() - 1;
        self.0.active.set(left);
        if left == 0 {
            self.0.idle_since.set(Instant::now());
        }
        self.0.news.notify_waiters();
    }
}

/// What is sent on while the answer already comes.
#[derive(Default)]
pub struct Uploading(Option<AbortHandle>);

impl Drop for Uploading {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// A head, and what has to be kept until its body has ended.
pub struct Answered {
    pub response: Response<Body>,
    pub in_use: Use,
    pub uploading: Uploading,
}

impl Connection {
    /// Agrees on HTTP/2 over a socket, and serves it on a task of its own.
    pub async fn open(
        io: impl Io,
        term: Term,
        Limit { deadline, whole }: Limit,
        news: Rc<Notify>,
        counted: Counted,
    ) -> Result<Rc<Self>, String> {
        let socket = Lazy::new(io);
        let (io, heard) = Listening::new(socket.clone());
        // Requests that are given up are not errors of the peer, whose answers cross the reset: no number of them ends it.
        let mut builder = Builder::new();
        builder
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(MAX_FRAME)
            .max_header_list_size(MAX_HEADER_BYTES)
            .max_send_buffer_size(SEND_BUFFER)
            .initial_max_send_streams(0)
            .max_local_error_reset_streams(None);
        let agreed = timeout_at(deadline, async {
            let (sender, mut connection) = builder.handshake(io).await?;
            poll_fn(|context| {
                let greeted = greeted(&sender, &mut connection, context);
                // An error is the connection's next.
                let _ = socket.poll_end_of_turn(context);
                greeted
            })
            .await?;
            Ok::<_, h2::Error>((sender, connection))
        });
        let (sender, connection) = match agreed.await {
            Ok(Ok(agreed)) => agreed,
            Ok(Err(error)) => return Err(format!("HTTP/2 cannot be agreed on: {error}")),
            Err(_) => return Err(format!("HTTP/2 was not agreed on within {whole:?}")),
        };
        let this = Rc::new(Self {
            sender: RefCell::new(sender),
            active: Cell::new(0),
            taken: Cell::new(0),
            closed: Cell::new(false),
            idle_since: Cell::new(Instant::now()),
            news,
        });
        let running = run(this.clone(), connection, socket, heard, term);
        spawn_local(async move {
            running.await;
            drop(counted);
        });
        Ok(this)
    }

    /// Whether it takes requests, and how many are under way.
    pub fn load(&self) -> Option<usize> {
        (!self.closed.get()).then(|| self.active.get())
    }

    /// Whether one more request would not have to wait.
    pub fn has_room(&self) -> bool {
        !self.closed.get() && self.active.get() < self.sender.borrow().current_max_send_streams()
    }

    /// Takes a place for a request.
    pub fn take(self: &Rc<Self>) -> Use {
        self.active.set(self.active.get() + 1);
        self.taken.set(self.taken.get() + 1);
        if self.taken.get() == MAX_REQUESTS {
            self.close();
        }
        Use(self.clone())
    }

    /// Takes no more requests, and ends when those under way have ended.
    pub fn close(&self) {
        self.closed.set(true);
        self.news.notify_waiters();
    }
}

impl Use {
    /// Sends a request and waits for the head of its answer. `Err(None)`: the connection takes no more requests, and nothing
    /// was sent.
    pub async fn send(self, head: Request<()>, body: Reader) -> Result<Answered, Option<Failure>> {
        let Self(connection) = &self;
        let mut sender = connection.sender.borrow().clone();
        let unusable = |error: h2::Error| {
            // It is this request that cannot be sent; or the connection takes no more.
            if !error.is_io() && error.reason().is_none() {
                return Some(Failure::Lost(error.into()));
            }
            connection.close();
            None
        };
        poll_fn(|context| sender.poll_ready(context)).await.map_err(unusable)?;
        let ends = body.is_end();
        let (response, stream) = sender.send_request(head, ends).map_err(unusable)?;
        let mut response = pin!(response);
        let mut upload = (!ends).then(|| Upload::new(body, stream));
        let mut failed = None;
        let answered = poll_fn(|context| {
            if let Some(sending) = &mut upload
                && let Poll::Ready(sent) = sending.poll(context)
            {
                upload = None;
                // A server may answer without having read everything: its answer says more than this.
                failed = sent.err();
            }
            response.as_mut().poll(context)
        });
        let response = match answered.await {
            Ok(response) => response.map(Body::Http2),
            Err(error) => {
                let lost: Lost = error.into();
                return Err(Some(Failure::Lost(failed.unwrap_or(lost))));
            }
        };
        let uploading = Uploading(upload.map(|mut upload| {
            let rest = async move { drop(poll_fn(|context| upload.poll(context)).await) };
            spawn_local(rest).abort_handle()
        }));
        Ok(Answered { response, in_use: self, uploading })
    }
}

/// Waits for what the peer says of itself: how many requests it takes, of which none are sent before; and that it is somebody
/// who speaks HTTP/2, and lives.
fn greeted<T: Io>(
    sender: &SendRequest<Bytes>,
    connection: &mut h2::client::Connection<T, Bytes>,
    context: &mut Context<'_>,
) -> Poll<Result<(), h2::Error>> {
    match Pin::new(connection).poll(context)? {
        Poll::Ready(()) => Poll::Ready(Err(h2::Reason::HTTP_1_1_REQUIRED.into())),
        Poll::Pending if sender.current_max_send_streams() > 0 => Poll::Ready(Ok(())),
        Poll::Pending => Poll::Pending,
    }
}

/// Moves bytes until the connection is over.
async fn run<T: Io>(
    this: Rc<Connection>,
    mut connection: h2::client::Connection<Listening<Lazy<T>>, Bytes>,
    socket: Lazy<T>,
    heard: Rc<Cell<Heard>>,
    term: Term,
) {
    let mut pings = connection.ping_pong();
    let mut pulse = Pulse::new(term.habits.keepalive, term.habits.keepalive_timeout);
    let mut busy_since = None;
    let mut beats = term.beats();
    let mut turn = |context: &mut Context<'_>| {
        loop {
            if Pin::new(&mut connection).poll(context).is_ready() {
                return Poll::Ready(());
            }
            if beats.poll_tick(context).is_pending() {
                return Poll::Pending;
            }
            let (now, idle) = (Instant::now(), this.active.get() == 0);
            if term.is_over(now, idle.then(|| this.idle_since.get())) {
                this.close();
            }
            if this.closed.get() && idle {
                return Poll::Ready(());
            }
            busy_since = if idle { None } else { busy_since.or(Some(now)) };
            match pulse.next(now, heard.get(), busy_since) {
                Order::Wait => {}
                Order::GiveUp => return Poll::Ready(()),
                Order::Ask => {
                    if let Some(pings) = &mut pings {
                        // The answer to the one before makes way for the next.
                        let _ = pings.poll_pong(context);
                        let _ = pings.send_ping(Ping::opaque());
                    }
                }
            }
        }
    };
    poll_fn(|context| {
        let turn = turn(context);
        // An error is the connection's next.
        let _ = socket.poll_end_of_turn(context);
        turn
    })
    .await;
    this.close();
}
