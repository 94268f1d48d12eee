//! Requests of an HTTP/1.1 connection.

use super::Door;
use crate::{
    answer::Answer,
    body::{Body, Lost},
    call, headers,
    shared::Local,
};
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use infermesh_transport::http1::Mark;
use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

/// Answers one request.
pub async fn answer(
    local: &Rc<Local>,
    door: &Rc<Door>,
    request: Request<Incoming>,
    mark: Mark,
) -> Response<Marked> {
    let (mut head, body) = request.into_parts();
    headers::leave_http1(&mut head.headers);
    let mut response = call::handle(local, door, Box::new(head), Body::Http1(body)).await;
    headers::leave_http2(response.headers_mut());
    response.map(|answer| Marked { answer, passed: 0, _mark: mark })
}

/// An answer that says that it is under way until it has been handed over.
pub struct Marked {
    answer: Answer,
    /// Bytes that hyper has been given and has not yet asked beyond.
    passed: usize,
    _mark: Mark,
}

impl http_body::Body for Marked {
    type Data = Bytes;
    type Error = Lost;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Lost>>> {
        // hyper asks for more when it has room for it.
        let passed = std::mem::take(&mut self.passed);
        self.answer.release(passed);
        let piece = ready!(self.answer.poll(context));
        Poll::Ready(piece.map(|piece| {
            piece.map(|piece| {
                let frame = piece.into_frame();
                self.passed = frame.data_ref().map_or(0, Bytes::len);
                frame
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.answer.is_end()
    }

    fn size_hint(&self) -> SizeHint {
        self.answer.size_hint()
    }
}
