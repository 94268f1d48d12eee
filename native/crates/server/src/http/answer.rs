//! An answer on its way out.

use bytes::Bytes;
use http::Response;
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

impl From<Vec<Bytes>> for Pieces {
    fn from(mut pieces: Vec<Bytes>) -> Self {
        pieces.retain(|piece| !piece.is_empty());
        Self { rest: pieces.into(), under_way: None }
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
