//! Sockets that accept, and hand each connection to the next network thread.

use crate::{
    connections::Connections,
    peer::address::Peer,
    thread::{Accepted, Stream},
    tls::Terms,
};
use socket2::{Domain, Socket, Type};
use std::{
    io,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    os::unix::{
        fs::FileTypeExt,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::mpsc;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

pub enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

/// Fails if no address of the host can be bound.
pub fn bind_tcp(host: &str, port: u16) -> io::Result<(Listener, SocketAddr)> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("'{host}' has no address"));
    for address in (host, port).to_socket_addrs()? {
        let bound = || {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
            socket.set_reuse_address(true)?;
            socket.bind(&address.into())?;
            socket.listen(BACKLOG)?;
            let listener: TcpListener = socket.into();
            let address = listener.local_addr()?;
            Ok((Listener::Tcp(listener), address))
        };
        match bound() {
            Ok(listening) => return Ok(listening),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Replaces a socket file that nobody listens on any more; fails if somebody does.
pub fn bind_unix(path: &Path) -> io::Result<Listener> {
    let is_socket = path.symlink_metadata().is_ok_and(|metadata| metadata.file_type().is_socket());
    if is_socket {
        if UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens on this socket"));
        }
        std::fs::remove_file(path)?;
    }
    Ok(Listener::Unix(UnixListener::bind(path)?, path.to_owned()))
}

/// What connections of a listener have in common.
pub struct Endpoint<P> {
    /// What is spoken on them.
    pub protocol: P,
    /// Whether they count: whoever watches a process can connect at any time.
    pub counts: bool,
    pub terms: Terms,
    /// The threads that take connections in turn.
    pub threads: Vec<mpsc::UnboundedSender<Accepted<P>>>,
    pub connections: Arc<Connections>,
}

impl<P: Clone> Endpoint<P> {
    fn hand_over(&self, thread: &mpsc::UnboundedSender<Accepted<P>>, stream: Stream, peer: Peer) {
        if !self.counts || self.connections.admits(&peer.name) {
            let protocol = self.protocol.clone();
            let _ = thread.send(Accepted { stream, protocol, terms: self.terms.clone(), peer });
        }
    }
}

impl Listener {
    /// Accepts until the process drains, then closes the socket. Runs on a tokio runtime.
    pub async fn run<P: Clone>(self, endpoint: Endpoint<P>) {
        let accept = async {
            match &self {
                Self::Tcp(listener) => {
                    let listener = tokio::net::TcpListener::from_std(nonblocking(
                        listener.try_clone()?,
                        TcpListener::set_nonblocking,
                    )?)?;
                    for thread in endpoint.threads.iter().cycle() {
                        let (stream, peer) = retrying(|| listener.accept()).await;
                        endpoint.hand_over(thread, Stream::Tcp(stream.into_std()?), Peer::tcp(peer));
                    }
                }
                Self::Unix(listener, path) => {
                    let listener = tokio::net::UnixListener::from_std(nonblocking(
                        listener.try_clone()?,
                        UnixListener::set_nonblocking,
                    )?)?;
                    for thread in endpoint.threads.iter().cycle() {
                        let stream = retrying(|| listener.accept()).await.0.into_std()?;
                        endpoint.hand_over(thread, Stream::Unix(stream), Peer::unix(path));
                    }
                }
            }
            io::Result::Ok(())
        };
        tokio::select! {
            _ = accept => {}
            () = endpoint.connections.drained() => {}
        }
        if let Self::Unix(_, path) = &self {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn nonblocking<T>(socket: T, set: impl FnOnce(&T, bool) -> io::Result<()>) -> io::Result<T> {
    set(&socket, true)?;
    Ok(socket)
}

/// A listener outlives a failed accept: the client went away, or file descriptors are short for a while.
async fn retrying<T, F: Future<Output = io::Result<T>>>(mut accept: impl FnMut() -> F) -> T {
    loop {
        match accept().await {
            Ok(accepted) => return accepted,
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
        }
    }
}
