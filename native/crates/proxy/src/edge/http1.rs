//! Requests of an HTTP/1.1 connection.

use super::Door;
use crate::{
    answer::Answer,
    body::{Body, Lost},
    call,
    headers::{self, Upgrade},
    shared::Local,
};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
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
    let upgrade = headers::upgrade(&head);
    headers::leave_http1(&mut head.headers);
    if let Some(upgrade) = upgrade.clone() {
        head.extensions.insert(upgrade);
    }
    let mut response = call::handle(local, door, Box::new(head), Body::Http1(body)).await;
    headers::leave_http2(response.headers_mut());
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return switch(door, response, upgrade, mark);
    }
    response.map(|answer| Marked { answer: Some(answer), passed: 0, _mark: mark })
}

/// Leaves behind where the connection leads to from now on.
fn switch(door: &Door, response: Response<Answer>, upgrade: Option<Upgrade>, mark: Mark) -> Response<Marked> {
    let (mut head, mut answer) = response.into_parts();
    match (answer.tunnel(), upgrade) {
        (Some(tunnel), Some(upgrade)) => {
            upgrade.write(&mut head.headers);
            door.tunnel.set(Some((tunnel, answer)));
        }
        _ => head.status = StatusCode::BAD_GATEWAY,
    }
    Response::from_parts(head, Marked { answer: None, passed: 0, _mark: mark })
}

/// An answer that says that it is under way until it has been handed over.
pub struct Marked {
    /// `None`: it has no body.
    answer: Option<Answer>,
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
        let Some(answer) = &mut self.answer else { return Poll::Ready(None) };
        answer.release(passed);
        let piece = ready!(answer.poll(context));
        Poll::Ready(piece.map(|piece| {
            piece.map(|piece| {
                let frame = piece.into_frame();
                self.passed = frame.data_ref().map_or(0, Bytes::len);
                frame
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.answer.as_ref().is_none_or(Answer::is_end)
    }

    fn size_hint(&self) -> SizeHint {
        self.answer.as_ref().map_or(SizeHint::with_exact(0), Answer::size_hint)
    }
}
