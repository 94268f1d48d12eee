//! A server that answers everything at once with the same bytes, and so shows what a client can do at most.

mod grpc;
mod http;

use crate::{outbox::Outbox, transport::Transport, worker::WAKE};
use bytes::Bytes;
use mio::{Events, Interest, Poll, Token, Waker, net::TcpListener};
use slab::Slab;
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

const LISTENER: Token = Token(usize::MAX - 1);
const MOST_CONNECTIONS: usize = 16_384;
/// Answers that a client may leave unread, in bytes.
const MOST_UNREAD: usize = 64 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speech {
    /// Each message, of a unary call or a stream, is answered with one.
    Grpc,
    Http,
}

pub struct NullServer {
    port: u16,
    closed: Arc<AtomicBool>,
    threads: Vec<(JoinHandle<()>, Waker)>,
}

/// What a connection does with what it reads.
trait Conversation {
    /// Reads and answers; an error ends the connection. The peer sends no more if it is `ending`.
    fn ready(&mut self, transport: &mut Transport, ending: bool) -> io::Result<()>;
}

impl NullServer {
    /// On loopback; port 0 takes a free one. Each thread has its own part of the connections.
    pub fn start(port: u16, speech: Speech, answer: Bytes, threads: usize) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        listener.set_nonblocking(true)?;
        let mut server =
            Self { port: listener.local_addr()?.port(), closed: Default::default(), threads: Vec::new() };
        for index in 0..threads.max(1) {
            let poll = Poll::new()?;
            let waker = Waker::new(poll.registry(), WAKE)?;
            let (listener, answer, closed) = (listener.try_clone()?, answer.clone(), server.closed.clone());
            let thread = std::thread::Builder::new().name(format!("null-{index}")).spawn(move || {
                // A server that nobody reads errors of: whoever measures it sees them.
                let _ = serve(poll, TcpListener::from_std(listener), speech, &answer, &closed);
            })?;
            server.threads.push((thread, waker));
        }
        Ok(server)
    }

    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for NullServer {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Release);
        for (thread, waker) in self.threads.drain(..) {
            let _ = waker.wake();
            let _ = thread.join();
        }
    }
}

/// Sends what there is, to a client that reads it.
fn send(out: &mut Outbox, transport: &mut Transport) -> io::Result<()> {
    out.flush(transport)?;
    if out.len() > MOST_UNREAD {
        return Err(io::Error::other("the client does not read its answers"));
    }
    Ok(())
}

fn serve(
    mut poll: Poll,
    mut listener: TcpListener,
    speech: Speech,
    answer: &Bytes,
    closed: &AtomicBool,
) -> io::Result<()> {
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut connections: Slab<(Transport, Box<dyn Conversation>)> = Slab::new();
    let mut events = Events::with_capacity(256);
    while !closed.load(Ordering::Acquire) {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            result => result?,
        }
        for event in &events {
            match event.token() {
                WAKE => {}
                LISTENER => accept(&poll, &listener, &mut connections, speech, answer)?,
                Token(key) => {
                    let Some((transport, conversation)) = connections.get_mut(key) else { continue };
                    if conversation.ready(transport, event.is_read_closed() || event.is_error()).is_err() {
                        connections.remove(key);
                    }
                }
            }
        }
    }
    Ok(())
}

fn accept(
    poll: &Poll,
    listener: &TcpListener,
    connections: &mut Slab<(Transport, Box<dyn Conversation>)>,
    speech: Speech,
    answer: &Bytes,
) -> io::Result<()> {
    loop {
        let socket = match listener.accept() {
            Ok((socket, _)) => socket,
            // A client may be gone already.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // Another thread was quicker, or this machine has no descriptor left: trying again would never end.
            Err(_) => return Ok(()),
        };
        if connections.len() >= MOST_CONNECTIONS {
            continue;
        }
        let Ok(mut transport) = Transport::accepted(socket) else { continue };
        let entry = connections.vacant_entry();
        if transport.register(poll.registry(), Token(entry.key())).is_err() {
            continue;
        }
        let conversation: Box<dyn Conversation> = match speech {
            Speech::Grpc => Box::new(grpc::Connection::new(answer.clone())),
            Speech::Http => Box::new(http::Connection::new(answer)),
        };
        entry.insert((transport, conversation));
    }
}
