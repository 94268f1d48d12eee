//! One HTTP/1.1 connection to an endpoint: one request at a time, kept for the next.

use super::{Failure, term::Term};
use crate::{
    body::{Body, Cause, Io, Lost, Tunnel},
    headers::{self, Upgrade},
    request::source::Reader,
};
use bytes::Bytes;
use http::{
    HeaderValue, Request, Response, StatusCode, Uri, Version,
    header::{CONTENT_LENGTH, COOKIE, HOST},
};
use http_body::Frame;
use hyper::{
    body::Incoming,
    client::conn::{
        TrySendError,
        http1::{self, Parts, SendRequest, handshake},
    },
};
use hyper_util::rt::TokioIo;
use std::{
    cell::Cell,
    future::poll_fn,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{sync::oneshot, task::spawn_local, time::Instant};

/// A request's body, as hyper reads it.
pub struct Outgoing {
    reader: Reader,
    /// Bytes that hyper has been given and has not yet asked beyond.
    passed: usize,
    size: Option<u64>,
}

impl Outgoing {
    /// `size`: what its Content-Length says.
    pub fn new(reader: Reader, size: Option<u64>) -> Self {
        Self { reader, passed: 0, size }
    }
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = Lost;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Lost>>> {
        let passed = std::mem::take(&mut self.passed);
        self.reader.release(passed);
        let piece = ready!(self.reader.poll(context));
        Poll::Ready(piece.map(|piece| {
            piece.map(|piece| {
                let frame = piece.into_frame();
                self.passed = frame.data_ref().map_or(0, Bytes::len);
                frame
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.reader.is_end()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self.size {
            Some(size) => http_body::SizeHint::with_exact(size),
            None if self.reader.is_end() => http_body::SizeHint::with_exact(0),
            None => http_body::SizeHint::default(),
        }
    }
}

/// A connection that has no request, or that which it is sent.
pub struct Connection {
    sender: SendRequest<Outgoing>,
    state: Rc<State>,
    /// Gets what is left of it when HTTP is no longer spoken.
    tunnel: oneshot::Receiver<Tunnel>,
}

/// What it and its task know.
struct State {
    /// Since when there has been no request; `None` while there is one.
    idle_since: Cell<Option<Instant>>,
    /// Whether its request asks for another protocol.
    may_switch: Cell<bool>,
}

/// Why there is no answer to a request.
pub enum Unsent {
    /// The connection had ended before.
    Certainly,
    /// It ended without a word.
    Perhaps(Failure),
    No(Failure),
}

impl Connection {
    /// Agrees on nothing: HTTP/1.1 begins with the first request. `place` is held until the connection has ended.
    pub async fn open<T: Io>(io: T, term: Term, place: impl Sized + 'static) -> Result<Self, String> {
        let (sender, connection) = handshake(TokioIo::new(io))
            .await
            .map_err(|error| format!("HTTP/1.1 cannot be spoken: {error}"))?;
        let state = Rc::new(State { idle_since: Cell::new(None), may_switch: Cell::new(false) });
        let known = state.clone();
        let (left, tunnel) = oneshot::channel();
        spawn_local(async move {
            let ended = run(connection, &known, term).await;
            if let Some(Parts { io, read_buf, .. }) = ended.filter(|_| known.may_switch.get()) {
                let _ = left.send(Tunnel::new(io.into_inner(), read_buf, place));
            }
        });
        Ok(Self { sender, state, tunnel })
    }

    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    pub fn idle_for(&self) -> Duration {
        self.state.idle_since.get().map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Sends a request and waits for the head of its answer. When the answer has been read, `give_back` gets the connection.
    pub async fn send(
        mut self,
        mut head: Request<()>,
        body: Reader,
        give_back: impl FnOnce(Self) + 'static,
    ) -> Result<Response<Body>, Unsent> {
        self.state.idle_since.set(None);
        if self.sender.ready().await.is_err() {
            return Err(Unsent::Certainly);
        }
        let size = head.headers().get(CONTENT_LENGTH).and_then(|size| size.to_str().ok()?.parse().ok());
        translate(&mut head);
        if let Some(upgrade) = head.extensions().get::<Upgrade>().cloned() {
            upgrade.write(head.headers_mut());
            self.state.may_switch.set(true);
        }
        let body = Outgoing::new(body, size);
        let response = self.sender.try_send_request(head.map(|()| body)).await.map_err(unsent)?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return self.switch(response).await;
        }
        self.state.may_switch.set(false);
        spawn_local(async move {
            if self.sender.ready().await.is_ok() {
                self.state.idle_since.set(Some(Instant::now()));
                give_back(self);
            }
        });
        let mut response = response.map(Body::Http1);
        headers::leave_http1(response.headers_mut());
        Ok(response)
    }
}

impl Connection {
    async fn switch(self, response: Response<Incoming>) -> Result<Response<Body>, Unsent> {
        // It is about to end: this was the last that hyper had to do with it.
        let Ok(tunnel) = self.tunnel.await else {
            let lost = Lost::new("it switches protocols, which it was not asked for");
            return Err(Unsent::No(Failure::Lost(lost)));
        };
        let mut response = response.map(|_| Body::Tunnel(tunnel));
        headers::leave_http1(response.headers_mut());
        Ok(response)
    }
}

fn unsent(mut error: TrySendError<Request<Outgoing>>) -> Unsent {
    if error.take_message().is_some() {
        return Unsent::Certainly;
    }
    let error = error.into_error();
    let is_caller = error.is_user();
    let is_wordless = error.is_incomplete_message() || is_broken(&error);
    let mut lost = Lost::from(error);
    if is_caller {
        lost.cause = Cause::Ours;
        return Unsent::No(Failure::Lost(lost));
    }
    match is_wordless {
        true => Unsent::Perhaps(Failure::Lost(lost)),
        false => Unsent::No(Failure::Lost(lost)),
    }
}

/// Whether the socket said so, rather than what came from it.
fn is_broken(error: &hyper::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<io::Error>())
}

/// Moves bytes until the connection is over; what is left of one that ended well.
async fn run<T: Io>(
    mut connection: http1::Connection<TokioIo<T>, Outgoing>,
    state: &State,
    term: Term,
) -> Option<Parts<TokioIo<T>>> {
    let mut beats = term.beats();
    let ended = poll_fn(|context| {
        loop {
            if let Poll::Ready(ended) = Pin::new(&mut connection).poll(context) {
                return Poll::Ready(ended.is_ok());
            }
            ready!(beats.poll_tick(context));
            let idle_since = state.idle_since.get();
            if idle_since.is_some() && term.is_over(Instant::now(), idle_since) {
                return Poll::Ready(false);
            }
        }
    });
    ended.await.then(|| connection.into_parts())
}

/// A request as HTTP/1.1 has it: a path, a Host, one Cookie line.
fn translate(head: &mut Request<()>) {
    *head.version_mut() = Version::HTTP_11;
    let uri = head.uri().clone();
    if let Some(authority) = uri.authority()
        && !head.headers().contains_key(HOST)
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        head.headers_mut().insert(HOST, host);
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    *head.uri_mut() = path.parse().unwrap_or_else(|_| Uri::from_static("/"));
    headers::leave_http2(head.headers_mut());
    // RFC 9113, section 8.2.3: HTTP/2 may have them apart, HTTP/1.1 may not.
    let cookies: Vec<_> = head.headers().get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if cookies.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&cookies.join(&b"; "[..]))
    {
        head.headers_mut().insert(COOKIE, joined);
    }
}
