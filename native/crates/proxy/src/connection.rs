//! One connection of a client: which HTTP it speaks, and who answers.

use crate::{
    edge::{self, Door},
    plan::Listener,
    shared::{Local, Shared},
};
use infermesh_transport::{
    http1, http2,
    peer::address::Peer,
    socket::{self, Serve},
    thread::Accepted,
};
use std::{
    io,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    time::timeout,
};

/// The first bytes of a connection have to come within this time.
const FIRST_BYTES: Duration = Duration::from_secs(120);

/// How HTTP/2 begins, as far as no method of HTTP/1.1 does.
const PREFACE: &[u8] = b"PRI ";

/// What a network thread does with each of its connections.
pub fn serving(shared: Arc<Shared>) -> impl FnMut(Accepted<Arc<Listener>>) {
    let local = Local::new(shared);
    move |accepted| socket::spawn(local.shared.connections.clone(), accepted, Speaker(local.clone()))
}

struct Speaker(Rc<Local>);

impl Serve<Arc<Listener>> for Speaker {
    async fn serve(
        self,
        listener: Arc<Listener>,
        peer: Peer,
        mut io: impl AsyncRead + AsyncWrite + Unpin,
    ) -> io::Result<()> {
        let Self(local) = self;
        let connections = local.shared.connections.clone();
        let mut first = [0; PREFACE.len()];
        let mut known = 0;
        while known < first.len() && first[..known] == PREFACE[..known] {
            let read = tokio::select! {
                read = timeout(FIRST_BYTES, io.read(&mut first[known..])) => read.map_err(io::Error::from)??,
                () = connections.drained() => return Ok(()),
            };
            match read {
                0 => return Ok(()),
                read => known += read,
            }
        }
        let io = Rewound { first, read: 0, known, io };
        let door = Rc::new(Door { listener, peer });
        if first == PREFACE {
            let peer = door.peer.name.clone();
            http2::serve(
                &connections,
                &door.listener.rules,
                local.purse.clone(),
                &peer,
                io,
                |request, respond, tally| {
                    edge::http2::answer(&local, &door, request, respond, tally);
                },
            )
            .await
        } else {
            http1::serve(&connections, &door.listener.rules, io, |request, mark| {
                let (local, door) = (local.clone(), door.clone());
                async move { edge::http1::answer(&local, &door, request, mark).await }
            })
            .await
        }
    }
}

/// A socket whose first bytes have been looked at.
struct Rewound<T> {
    first: [u8; PREFACE.len()],
    read: usize,
    known: usize,
    io: T,
}

impl<T: AsyncRead + Unpin> AsyncRead for Rewound<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read < self.known {
            let now = (self.known - self.read).min(out.remaining());
            out.put_slice(&self.first[self.read..self.read + now]);
            self.read += now;
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.io).poll_read(context, out)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Rewound<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, slices)
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
