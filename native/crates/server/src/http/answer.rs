//! An answer on its way out.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use infermesh_transport::budget::{Hold, Purse};
use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

pub type Answer = Response<Pieces>;

/// Handed over in pieces of at most this size: what is left tells how much the client has yet to read.
const PIECE: usize = 128 << 10;

/// Bodies in the buffers they were written in; tensors are not copied.
#[derive(Default)]
pub struct Pieces {
    rest: VecDeque<Bytes>,
    under_way: Option<(Rc<()>, Hold)>,
}

impl Pieces {
    /// Holds the mark of a request under way, and the memory of the answer, until the body has been handed over.
    pub fn hold(&mut self, mark: Rc<()>, purse: &Rc<Purse>) {
        self.under_way = Some((mark, Hold::of(purse, self.remaining() as usize)));
    }

    fn remaining(&self) -> u64 {
        self.rest.iter().map(|piece| piece.len() as u64).sum()
    }
}

impl FromIterator<Bytes> for Pieces {
    fn from_iter<T: IntoIterator<Item = Bytes>>(pieces: T) -> Self {
        let rest = pieces.into_iter().filter(|piece| !piece.is_empty()).collect();
        Self { rest, under_way: None }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(piece) = self.rest.front_mut() else { return Poll::Ready(None) };
        let now = piece.split_to(piece.len().min(PIECE));
        if piece.is_empty() {
            self.rest.pop_front();
        }
        Poll::Ready(Some(Ok(Frame::data(now))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining())
    }
}

/// 200 and nothing more.
pub fn empty() -> Answer {
    Response::new(Pieces::default())
}

pub fn json(text: Vec<u8>) -> Answer {
    typed("application/json", [text.into()])
}

pub fn typed(content_type: &'static str, pieces: impl IntoIterator<Item = Bytes>) -> Answer {
    let mut answer = Response::new(pieces.into_iter().collect::<Pieces>());
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// `{"error": "..."}`.
pub fn refusal(status: StatusCode, message: &str) -> Answer {
    let mut answer = json(serde_json::json!({ "error": message }).to_string().into_bytes());
    *answer.status_mut() = status;
    answer
}

pub fn unknown_path(path: &str) -> Answer {
    refusal(StatusCode::NOT_FOUND, &format!("found nothing at {path}"))
}

pub fn wrong_method(allowed: &'static str) -> Answer {
    let mut answer = refusal(StatusCode::METHOD_NOT_ALLOWED, &format!("expected method {allowed}"));
    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    answer
}
