//! A request's body, which can be sent again from its beginning as long as it is kept.
//!
//! Attempts read it one after the other, or, once it has been received whole, beside each other. What has been received
//! is kept for the next attempt until there is none any more (`forget`), or until it does not fit (`share`).

use crate::{
    body::{Body, Lost, Piece, linger},
    origin::Origin,
};
use bytes::Bytes;
use http::HeaderMap;
use infermesh_policy::replay::Share;
use infermesh_wire::framing::PREFIX;
use smallvec::SmallVec;
use std::{
    cell::RefCell,
    collections::VecDeque,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Instant,
};

/// Shared by the attempts of one request.
#[derive(Clone)]
pub struct Source(Rc<RefCell<Kept>>);

struct Kept {
    body: Body,
    /// Received and kept, from the first on.
    pieces: VecDeque<Bytes>,
    /// So many pieces before these were let go.
    gone: usize,
    trailers: Option<HeaderMap>,
    ended: bool,
    /// Whether there may be another attempt.
    keeping: bool,
    share: Share,
    /// For whom what comes from a client is counted.
    origin: Rc<Origin>,
    /// Whether its sender is waited for, and when that was over for the last time.
    awaited: bool,
    came: Option<Instant>,
    first: FirstMessage,
}

impl Source {
    /// `share` accounts for what is kept; without one nothing is. What comes from a client is counted for
    /// `origin`.
    pub fn new(body: Body, share: Option<Share>, origin: Rc<Origin>) -> Self {
        let keeping = share.is_some();
        let ended = body.is_end();
        Self(Rc::new(RefCell::new(Kept {
            body,
            pieces: VecDeque::new(),
            gone: 0,
            trailers: None,
            ended,
            keeping,
            share: share.unwrap_or_default(),
            origin,
            awaited: false,
            came: None,
            first: FirstMessage::default(),
        })))
    }

    /// One attempt's way through it, from the beginning.
    pub fn reader(&self) -> Reader {
        Reader { source: self.clone(), at: 0 }
    }

    /// Whether it can be read from the beginning.
    pub fn is_whole(&self) -> bool {
        self.0.borrow().gone == 0
    }

    /// Whether it has been received to its end.
    pub fn is_received(&self) -> bool {
        self.0.borrow().ended
    }

    /// Whether less has come than the first message of a gRPC call: nobody can have done anything with it.
    pub fn lacks_a_message(&self) -> bool {
        let kept = self.0.borrow();
        !kept.ended && kept.first.is_missing()
    }

    /// Until when whoever sends it on had to wait for more of it, if ever.
    pub fn awaited_until(&self, now: Instant) -> Option<Instant> {
        let kept = self.0.borrow();
        if kept.awaited { Some(now) } else { kept.came }
    }

    /// There will be no other attempt: what has been sent is let go.
    pub fn forget(&self) {
        self.0.borrow_mut().keeping = false;
    }

    /// What is kept, if that is all there is.
    pub fn received(&self) -> Option<Vec<Bytes>> {
        let kept = self.0.borrow();
        (kept.ended && kept.gone == 0).then(|| kept.pieces.iter().cloned().collect())
    }
}

impl Kept {
    fn poll(&mut self, at: usize, context: &mut Context<'_>) -> Poll<Option<Result<Piece, Lost>>> {
        if at < self.gone {
            let why = "the request is too large to be kept, and cannot be sent a second time";
            return Poll::Ready(Some(Err(Lost::new(why))));
        }
        if let Some(piece) = self.pieces.get(at - self.gone) {
            let piece = piece.clone();
            if !self.keeping {
                self.let_go(at + 1);
            }
            return Poll::Ready(Some(Ok(Piece::Data(piece))));
        }
        if self.ended {
            return Poll::Ready(self.trailers.clone().map(|trailers| Ok(Piece::Trailers(trailers))));
        }
        let Poll::Ready(piece) = self.body.poll(context) else {
            self.awaited = true;
            return Poll::Pending;
        };
        if std::mem::take(&mut self.awaited) {
            self.came = Some(Instant::now());
        }
        match &piece {
            Some(Ok(Piece::Data(data))) => {
                if self.body.is_foreign() {
                    self.origin.receive(data.len());
                }
                self.first.take(data);
                self.keeping = self.keeping && self.share.grow(data.len());
                if self.keeping {
                    self.pieces.push_back(data.clone());
                } else {
                    self.let_go(at + 1);
                }
                self.ended = self.body.is_end();
            }
            Some(Ok(Piece::Trailers(trailers))) => {
                self.trailers = Some(trailers.clone());
                self.ended = true;
            }
            Some(Err(_)) => {}
            None => self.ended = true,
        }
        Poll::Ready(piece)
    }

    /// Keeps nothing before `at`.
    fn let_go(&mut self, at: usize) {
        self.pieces.drain(..(at - self.gone).min(self.pieces.len()));
        self.gone = at;
        if self.pieces.is_empty() {
            self.share.release();
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if !self.ended {
            linger(std::mem::take(&mut self.body));
        }
    }
}

pub struct Reader {
    source: Source,
    at: usize,
}

impl Reader {
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Piece, Lost>>> {
        let piece = ready!(self.source.0.borrow_mut().poll(self.at, context));
        if let Some(Ok(Piece::Data(_))) = &piece {
            self.at += 1;
        }
        Poll::Ready(piece)
    }

    /// Whether it is known that there is nothing left to read.
    pub fn is_end(&self) -> bool {
        let kept = self.source.0.borrow();
        kept.ended && self.at == kept.gone + kept.pieces.len() && kept.trailers.is_none()
    }

    /// So many bytes of it have been passed on.
    pub fn release(&self, bytes: usize) {
        self.source.0.borrow_mut().body.release(bytes);
    }
}

/// How much is missing of the first message of a gRPC body.
#[derive(Debug, Default)]
struct FirstMessage {
    prefix: SmallVec<[u8; PREFIX]>,
    /// Bytes behind the prefix.
    come: u64,
}

impl FirstMessage {
    fn take(&mut self, data: &[u8]) {
        let of_prefix = data.len().min(PREFIX - self.prefix.len());
        self.prefix.extend_from_slice(&data[..of_prefix]);
        self.come += (data.len() - of_prefix) as u64;
    }

    fn is_missing(&self) -> bool {
        match self.prefix[..] {
            [_, a, b, c, d] => self.come < u32::from_be_bytes([a, b, c, d]).into(),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_there_with_its_last_byte() {
        let body = b"\0\0\0\x01\x00".iter().copied().chain(vec![7; 256]).collect::<Vec<u8>>();
        for step in [1, 2, 5, 6, 100] {
            let mut first = FirstMessage::default();
            let mut come = 0;
            for piece in body.chunks(step) {
                assert!(first.is_missing());
                first.take(piece);
                come += piece.len();
                assert_eq!(
                    first.is_missing(),
                    come < body.len(),
                    "{come} of {}, {step} at a time",
                    body.len()
                );
            }
        }
    }

    #[test]
    fn an_empty_message_is_there_with_its_prefix() {
        let mut first = FirstMessage::default();
        first.take(&[0; 4]);
        assert!(first.is_missing());
        first.take(&[0]);
        assert!(!first.is_missing());
    }
}
