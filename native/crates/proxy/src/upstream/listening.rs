//! A socket that remembers what has been heard from its peer, and ends when that is too much.

use super::{burden::Burden, pulse::Heard};
use std::{
    cell::Cell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

pub struct Listening<T> {
    io: T,
    heard: Rc<Cell<Heard>>,
    burden: Burden,
}

impl<T> Listening<T> {
    pub fn new(io: T) -> (Self, Rc<Cell<Heard>>) {
        let now = Instant::now();
        let heard = Rc::new(Cell::new(Heard { last: now, bytes: 0 }));
        (Self { io, heard: heard.clone(), burden: Burden::new(now) }, heard)
    }
}

impl<T> Listening<T> {
    fn count(&mut self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = written {
            self.burden.sent(*bytes);
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Listening<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = out.filled().len();
        let read = Pin::new(&mut self.io).poll_read(context, out);
        if read.is_ready() {
            let (now, new) = (Instant::now(), &out.filled()[before..]);
            let bytes = self.heard.get().bytes + new.len() as u64;
            self.heard.set(Heard { last: now, bytes });
            if self.burden.is_too_much(new, now) {
                return Poll::Ready(Err(io::Error::other("it sends frame after frame with nothing in it")));
            }
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Listening<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, data);
        self.count(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        self.count(&written);
        written
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
