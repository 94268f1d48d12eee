//! What is answered: at once, or as it happens.

use crate::observe::{picture, tap};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use infermesh_transport::http1::Mark;
use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

pub enum Said {
    Whole(VecDeque<Bytes>),
    Requests(tap::View),
    Pictures(picture::View),
}

impl From<Vec<Bytes>> for Said {
    fn from(pieces: Vec<Bytes>) -> Self {
        Self::Whole(pieces.into())
    }
}

/// Its request is under way until it has been handed over.
pub struct Held {
    said: Said,
    _mark: Mark,
}

impl Held {
    pub fn new(said: Said, mark: Mark) -> Self {
        Self { said, _mark: mark }
    }
}

impl Body for Held {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = match &mut self.said {
            Said::Whole(pieces) => Poll::Ready(pieces.pop_front()),
            Said::Requests(view) => view.poll(context),
            Said::Pictures(view) => view.poll_recv(context).map(|next| next.map(|json| event(&json))),
        };
        next.map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.said {
            Said::Whole(pieces) => pieces.is_empty(),
            Said::Requests(_) | Said::Pictures(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.said {
            Said::Whole(pieces) => SizeHint::with_exact(pieces.iter().map(|piece| piece.len() as u64).sum()),
            Said::Requests(_) | Said::Pictures(_) => SizeHint::default(),
        }
    }
}

/// One of server-sent events; JSON of one line is its data.
fn event(json: &[u8]) -> Bytes {
    [b"data: ", json, b"\n\n"].concat().into()
}
