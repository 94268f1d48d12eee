//! What a client gets: an upstream's response or our own, watched until its end.

use crate::{
    body::{Body, Lost, Piece, Tunnel},
    headers::{GRPC_MESSAGE, GRPC_PUSHBACK, GRPC_STATUS},
    watch::Watch,
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Response,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use http_body::SizeHint;
use infermesh_rest::status;
use infermesh_wire::{Code, Error, framing::encode_message};
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};

/// The body of an answer.
pub struct Answer {
    body: Body,
    /// How an error becomes the end of it.
    grpc: bool,
    expiry: Option<Pin<Box<Sleep>>>,
    watch: Option<Box<Watch>>,
    ended: bool,
}

impl Answer {
    /// `deadline`: when the client stops waiting for its end.
    pub fn new(body: Body, grpc: bool, deadline: Option<Instant>, watch: Box<Watch>) -> Self {
        let expiry = if body.is_end() { None } else { deadline.map(|at| Box::pin(sleep_until(at))) };
        Self { body, grpc, expiry, watch: Some(watch), ended: false }
    }

    /// The next piece; `None` at the end. An upstream that is lost on the way ends a gRPC call with a status; of anything
    /// else there is no end.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Piece, Lost>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        match self.body.poll(context) {
            Poll::Ready(Some(Ok(Piece::Data(data)))) => {
                if let Some(watch) = &mut self.watch {
                    watch.passed(&data);
                }
                Poll::Ready(Some(Ok(Piece::Data(data))))
            }
            Poll::Ready(Some(Ok(Piece::Trailers(mut trailers)))) => {
                if let Some(watch) = &self.watch {
                    watch.hears(&mut trailers);
                }
                self.end(Some(&trailers));
                Poll::Ready(Some(Ok(Piece::Trailers(trailers))))
            }
            Poll::Ready(Some(Err(lost))) => {
                let error = Error::new(Code::Unavailable, format!("the upstream was lost: {lost}"));
                Poll::Ready(Some(self.fail(&error, lost)))
            }
            Poll::Ready(None) => {
                self.end(None);
                Poll::Ready(None)
            }
            Poll::Pending => self.poll_expired(context).map(Some),
        }
    }

    /// Its end, when the client's time for it is over: what is to be said then.
    pub fn poll_expired(&mut self, context: &mut Context<'_>) -> Poll<Result<Piece, Lost>> {
        let Some(expiry) = &mut self.expiry else { return Poll::Pending };
        ready!(expiry.as_mut().poll(context));
        Poll::Ready(self.fail(&Error::deadline_exceeded(), Lost::new("the deadline has passed")))
    }

    fn fail(&mut self, error: &Error, lost: Lost) -> Result<Piece, Lost> {
        if let Some(watch) = self.watch.take() {
            watch.broken(error, &lost);
        }
        self.ended = true;
        self.body = Body::Empty;
        if self.grpc { Ok(Piece::Trailers(status_headers(error))) } else { Err(lost) }
    }

    fn end(&mut self, trailers: Option<&HeaderMap>) {
        self.ended = true;
        if let Some(watch) = self.watch.take() {
            watch.ended(trailers);
        }
    }

    /// Whether it is known that nothing more comes.
    pub fn is_end(&self) -> bool {
        self.ended || self.body.is_end()
    }

    /// What the client is connected with instead of an answer. The request is under way for as long as this lives.
    pub fn tunnel(&mut self) -> Option<Tunnel> {
        match std::mem::take(&mut self.body) {
            Body::Tunnel(tunnel) => Some(tunnel),
            body => {
                self.body = body;
                None
            }
        }
    }

    /// So many bytes of it have been passed on.
    pub fn release(&mut self, bytes: usize) {
        self.body.release(bytes);
    }

    /// Bytes that have come of it and have not been passed on.
    pub fn ahead(&mut self) -> usize {
        self.body.ahead()
    }

    pub fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Whoever has all of it need not look at its end.
impl Drop for Answer {
    fn drop(&mut self) {
        if self.watch.is_some() && self.is_end() {
            self.end(None);
        }
    }
}

/// An error as this edge says it: gRPC's status in the headers alone (Trailers-Only), which other proxies need in order to
/// see it; JSON over HTTP.
pub fn refusal(error: &Error, grpc: bool) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    if grpc {
        *response.headers_mut() = status_headers(error);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        return response;
    }
    *response.status_mut() = status(error);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(wait) = error.retry_after {
        // HTTP has whole seconds, and fewer would be too few.
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(ceil(wait, Duration::from_secs(1))));
    }
    let text = serde_json::json!({ "error": error.message }).to_string();
    response.map(|_| Body::from(Bytes::from(text)))
}

/// A status that an upstream gave, handed on.
pub fn refusal_of(code: u32, message: &str) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    let headers = response.headers_mut();
    headers.insert(GRPC_STATUS, HeaderValue::from(code));
    if let Ok(message) = HeaderValue::try_from(encode_message(message)) {
        headers.insert(GRPC_MESSAGE, message);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

fn status_headers(error: &Error) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(4);
    headers.insert(GRPC_STATUS, HeaderValue::from(error.code as u16));
    if let Ok(message) = HeaderValue::try_from(encode_message(&error.message)) {
        headers.insert(GRPC_MESSAGE, message);
    }
    if let Some(wait) = error.retry_after {
        headers.insert(GRPC_PUSHBACK, HeaderValue::from(ceil(wait, Duration::from_millis(1))));
    }
    headers
}

/// In whole units, no less than it is.
fn ceil(time: Duration, unit: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(unit.as_nanos())).unwrap_or(u64::MAX)
}
