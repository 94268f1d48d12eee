//! HTTP/1.1 connections to an endpoint: one request at a time each, kept for the next.

use super::{Failure, connect::Io};
use crate::{
    body::{Body, Lost},
    headers,
    request::source::Reader,
};
use bytes::Bytes;
use http::{
    HeaderValue, Request, Response, Uri, Version,
    header::{COOKIE, HOST},
};
use http_body::Frame;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::task::spawn_local;

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

pub type Connection = SendRequest<Outgoing>;

/// Agrees on nothing: HTTP/1.1 begins with the first request.
pub async fn open(io: impl Io) -> Result<Connection, String> {
    let (sender, connection) =
        handshake(TokioIo::new(io)).await.map_err(|error| format!("HTTP/1.1 cannot be spoken: {error}"))?;
    spawn_local(async move { drop(connection.await) });
    Ok(sender)
}

/// Sends a request and waits for the head of its answer. `Err(None)`: the connection was gone, and nothing was sent. When the
/// answer has been read, `give_back` gets the connection.
pub async fn send(
    mut connection: Connection,
    head: Request<()>,
    body: Outgoing,
    give_back: impl FnOnce(Connection) + 'static,
) -> Result<Response<Body>, Option<Failure>> {
    if connection.ready().await.is_err() {
        return Err(None);
    }
    let response = match connection.send_request(head.map(|()| body)).await {
        Ok(response) => response,
        Err(error) if error.is_canceled() => return Err(None),
        Err(error) => return Err(Some(Failure::Lost(error.into()))),
    };
    spawn_local(async move {
        if connection.ready().await.is_ok() {
            give_back(connection);
        }
    });
    let mut response = response.map(Body::Http1);
    headers::leave_http1(response.headers_mut());
    Ok(response)
}

/// A request as HTTP/1.1 has it: a path, a Host, one Cookie line.
pub fn translate(head: &mut Request<()>) {
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
