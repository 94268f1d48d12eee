//! Sends one attempt's request body over HTTP/2, as fast as its reader takes it.

use super::source::Reader;
use crate::body::{Cause, Lost, Piece};
use bytes::Bytes;
use h2::SendStream;
use std::task::{Context, Poll, ready};

/// From a body to a stream of HTTP/2.
pub struct Upload {
    reader: Reader,
    stream: SendStream<Bytes>,
    /// Read, and not yet sent.
    rest: Bytes,
    /// Bytes of the piece that `rest` is what is left of.
    owed: usize,
}

impl Upload {
    pub fn new(reader: Reader, stream: SendStream<Bytes>) -> Self {
        Self { reader, stream, rest: Bytes::new(), owed: 0 }
    }

    /// Ready when all of it has been handed over. A piece is read when the one before it has gone, and its sender is told
    /// only then: that is what holds back whoever sends faster than this is read.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Lost>> {
        loop {
            if self.owed > 0 {
                ready!(self.push(context))?;
                self.reader.release(std::mem::take(&mut self.owed));
                if self.reader.is_end() {
                    return Poll::Ready(Ok(()));
                }
            }
            match ready!(self.reader.poll(context)) {
                Some(Ok(Piece::Data(data))) if data.is_empty() => {}
                Some(Ok(Piece::Data(data))) => (self.owed, self.rest) = (data.len(), data),
                Some(Ok(Piece::Trailers(trailers))) => {
                    return Poll::Ready(self.stream.send_trailers(trailers).map_err(Lost::from));
                }
                Some(Err(lost)) => {
                    // It is the caller who is gone.
                    self.stream.send_reset(h2::Reason::CANCEL);
                    return Poll::Ready(Err(Lost { cause: Cause::Ours, ..lost }));
                }
                None => return Poll::Ready(self.stream.send_data(Bytes::new(), true).map_err(Lost::from)),
            }
        }
    }

    fn push(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Lost>> {
        while !self.rest.is_empty() {
            self.stream.reserve_capacity(self.rest.len());
            let room = match self.stream.capacity() {
                0 => match ready!(self.stream.poll_capacity(context)) {
                    Some(room) => room?,
                    None => {
                        return Poll::Ready(Err(Lost::new("the upstream takes no more of the request")));
                    }
                },
                room => room,
            };
            let now = self.rest.split_to(room.min(self.rest.len()));
            let ends = self.rest.is_empty() && self.reader.is_end();
            self.stream.send_data(now, ends)?;
        }
        Poll::Ready(Ok(()))
    }
}
