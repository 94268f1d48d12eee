//! A socket that is flushed once in a turn.
//!
//! h2 flushes after every DATA frame that it does not copy, which are those of 256 bytes and more: each costs a system
//! call, and with many streams the peer is woken as often. What is written here waits in the socket's buffer until whoever
//! polls the connection says that the turn is over.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Two hands on one buffered socket: h2 has one, and who polls it the other.
pub struct Lazy<T>(Rc<RefCell<T>>);

impl<T> Clone for Lazy<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Lazy<T> {
    pub fn new(io: T) -> Self {
        Self(Rc::new(RefCell::new(io)))
    }
}

impl<T: AsyncWrite + Unpin> Lazy<T> {
    /// Sends what waits. `Pending` if the peer does not take it; then this is to be called again.
    pub fn poll_end_of_turn(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_flush(context)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Lazy<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_read(context, out)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Lazy<T> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_write(context, data)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.borrow().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter};

    #[test]
    fn what_is_written_leaves_at_the_end_of_the_turn() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (near, mut far) = tokio::io::duplex(1 << 10);
            let mut lazy = Lazy::new(BufWriter::new(near));
            lazy.write_all(b"one").await.unwrap();
            lazy.flush().await.unwrap();
            lazy.write_all(b"two").await.unwrap();
            let mut found = [0; 16];
            let early = std::future::poll_fn(|context| {
                Poll::Ready(Pin::new(&mut far).poll_read(context, &mut ReadBuf::new(&mut found)).is_ready())
            });
            assert!(!early.await);
            std::future::poll_fn(|context| lazy.poll_end_of_turn(context)).await.unwrap();
            let count = far.read(&mut found).await.unwrap();
            assert_eq!(&found[..count], b"onetwo");
        });
    }
}
