//! One connection, from its socket to the protocol that is spoken on it.

use super::thread::{Accepted, Protocol, Stream};
use crate::{grpc, http, peer::authority::Lenient, shared::Local};
use std::{io, rc::Rc};
use tokio::{
    io::{AsyncRead, AsyncWrite, BufReader, BufWriter},
    net::{TcpStream, UnixStream},
    task::spawn_local,
};

/// Bytes taken from the socket at once, and given to it: h2 by itself reads 8 KiB, and writes each frame alone. A large
/// tensor comes and goes in frames of 16 KiB.
const READ_BUFFER: usize = 128 << 10;
const WRITE_BUFFER: usize = 64 << 10;

pub fn spawn(local: Rc<Local>, accepted: Accepted) {
    let alive = local.shared.connections.subscribe();
    spawn_local(async move {
        // An error ends this connection and no other; there is nobody left to tell.
        let _ = open(local, accepted).await;
        drop(alive);
    });
}

async fn open(local: Rc<Local>, Accepted { stream, protocol, tls, peer }: Accepted) -> io::Result<()> {
    match (stream, tls) {
        (Stream::Unix(stream), _) => {
            serve(local, protocol, &peer.name, Lenient::new(UnixStream::from_std(stream)?)).await
        }
        (Stream::Tcp(stream), None) => serve(local, protocol, &peer.name, buffered(stream)?).await,
        (Stream::Tcp(stream), Some(tls)) => match tls.accept(buffered(stream)?).await {
            Ok(stream) => serve(local, protocol, &peer.name, stream).await,
            Err(error) => {
                let said = format!("{} was refused: TLS cannot be agreed on: {error}", peer.name);
                local.shared.complain("tls-handshake-failed", said, &peer.name);
                Err(error)
            }
        },
    }
}

fn buffered(stream: std::net::TcpStream) -> io::Result<BufReader<BufWriter<TcpStream>>> {
    stream.set_nodelay(true)?;
    let stream = BufWriter::with_capacity(WRITE_BUFFER, TcpStream::from_std(stream)?);
    Ok(BufReader::with_capacity(READ_BUFFER, stream))
}

async fn serve(
    local: Rc<Local>,
    protocol: Protocol,
    peer: &str,
    io: impl AsyncRead + AsyncWrite + Unpin,
) -> io::Result<()> {
    match protocol {
        Protocol::Grpc => grpc::connection::serve(local, peer, io).await,
        Protocol::Rest => http::connection::serve(local, io, http::rest).await,
        Protocol::Metrics => http::connection::serve(local, io, http::metrics).await,
    }
}
