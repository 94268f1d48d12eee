//! Stands between a socket and h2: sees every frame pass, and ends the connection of a peer that does too much.

use super::{
    frames::{DATA, FRAME_HEADER, GOAWAY, HEADERS, PREFACE, Walker},
    meter::Meter,
    rules::Rules,
    tally::Tally,
};
use bytes::{Buf, Bytes};
use h2::Reason;
use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

/// Reads that are thrown away in one turn, so that a flood does not keep the thread from others.
const DISCARDED_READS: usize = 16;

pub struct Guard<T> {
    io: T,
    tally: Rc<Tally>,
    meter: Meter,
    incoming: Walker,
    outgoing: Walker,
    /// What is left to send of the last frame.
    goaway: Bytes,
}

impl<T> Guard<T> {
    pub fn new(io: T, tally: Rc<Tally>, rules: &Rules) -> Self {
        Self {
            io,
            meter: Meter::new(Instant::now(), rules),
            tally,
            incoming: Walker::after(PREFACE),
            outgoing: Walker::after(0),
            goaway: Bytes::new(),
        }
    }

    /// Judges what has been read.
    fn received(&mut self, bytes: &[u8]) {
        let (now, idle) = (Instant::now(), self.tally.idle.get());
        self.tally.last_read.set(now);
        let (meter, mut verdict) = (&mut self.meter, None);
        meter.at(now);
        self.incoming.walk(bytes, |frame| {
            if verdict.is_none() {
                verdict = meter.received(frame, now, idle);
            }
        });
        self.tally.block.set(meter.block);
        if let Some(verdict) = verdict {
            self.tally.verdict.set(Some(verdict));
            // Within a frame there is no place for it: then the end comes without a word.
            if self.outgoing.at_boundary() {
                self.goaway = goaway(meter.last_stream, verdict);
            }
        }
    }

    fn sent(&mut self, bytes: &[u8]) {
        let (meter, mut sent) = (&mut self.meter, self.tally.sent.get());
        self.outgoing.walk(bytes, |frame| {
            if matches!(frame.kind, DATA | HEADERS) {
                meter.sent();
                sent += 1;
            }
        });
        self.tally.sent.set(sent);
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Guard<T> {
    /// Sends the last frame, if it is time for it.
    fn poll_goaway(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.goaway.is_empty() {
            match ready!(Pin::new(&mut self.io).poll_write(context, &self.goaway))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.goaway.advance(count),
            }
        }
        Pin::new(&mut self.io).poll_flush(context)
    }

    /// Reads on without listening: a socket that is closed with something unread takes the last frame with it.
    fn poll_discard(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.poll_goaway(context)?.is_pending() {
            return Poll::Pending;
        }
        for _ in 0..DISCARDED_READS {
            let mut space = [MaybeUninit::uninit(); 4 << 10];
            let mut chunk = ReadBuf::uninit(&mut space);
            ready!(Pin::new(&mut self.io).poll_read(context, &mut chunk))?;
            if chunk.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// RFC 9113, section 6.8.
fn goaway(last_stream: u32, why: &str) -> Bytes {
    let length = &(8 + why.len() as u32).to_be_bytes()[1..];
    let code = u32::from(Reason::ENHANCE_YOUR_CALM).to_be_bytes();
    let frame =
        [length, &[GOAWAY, 0, 0, 0, 0, 0], &last_stream.to_be_bytes(), &code, why.as_bytes()].concat();
    debug_assert_eq!(frame.len(), FRAME_HEADER + 8 + why.len());
    frame.into()
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guard<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.tally.verdict.get().is_none() {
            let before = out.filled().len();
            ready!(Pin::new(&mut this.io).poll_read(context, out))?;
            this.received(&out.filled()[before..]);
            if this.tally.verdict.get().is_none() {
                return Poll::Ready(Ok(()));
            }
            out.set_filled(before);
        }
        this.poll_discard(context)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guard<T> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if !this.goaway.is_empty() {
            ready!(this.poll_goaway(context))?;
        }
        let count = ready!(Pin::new(&mut this.io).poll_write(context, data))?;
        this.tally.last_written.set(Instant::now());
        this.sent(&data[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if !this.goaway.is_empty() {
            ready!(this.poll_goaway(context))?;
        }
        let count = ready!(Pin::new(&mut this.io).poll_write_vectored(context, slices))?;
        // Once for all slices: the clock costs more than walking over one.
        this.tally.last_written.set(Instant::now());
        let mut left = count;
        for slice in slices {
            let here = left.min(slice.len());
            this.sent(&slice[..here]);
            left -= here;
            if left == 0 {
                break;
            }
        }
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
