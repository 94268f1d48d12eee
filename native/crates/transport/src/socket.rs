//! One connection, from its socket to where a protocol is spoken on it.

use crate::{
    connections::Connections,
    peer::{address::Peer, authority::Lenient},
    thread::{Accepted, Stream},
    tls::Greeted,
};
use std::{io, sync::Arc};
use tokio::{
    io::{AsyncRead, AsyncWrite, BufReader, BufWriter},
    net::{TcpStream, UnixStream},
    task::spawn_local,
};

/// Bytes taken from the socket at once, and given to it: h2 by itself reads 8 KiB, and writes each frame alone. A large
/// tensor comes and goes in frames of 16 KiB.
const READ_BUFFER: usize = 128 << 10;
const WRITE_BUFFER: usize = 64 << 10;

/// What speaks on connections: over whatever is left when TLS is off.
pub trait Serve<P>: 'static {
    fn serve(
        self,
        protocol: P,
        peer: Peer,
        io: impl AsyncRead + AsyncWrite + Unpin,
    ) -> impl Future<Output = io::Result<()>>;
}

/// Serves a connection on this thread.
pub fn spawn<P: 'static>(connections: Arc<Connections>, accepted: Accepted<P>, speaker: impl Serve<P>) {
    let alive = connections.enter();
    spawn_local(async move {
        // An error ends this connection and no other; there is nobody left to tell.
        let _ = open(&connections, accepted, speaker).await;
        drop(alive);
    });
}

async fn open<P>(
    connections: &Connections,
    Accepted { stream, protocol, terms, mut peer }: Accepted<P>,
    speaker: impl Serve<P>,
) -> io::Result<()> {
    let stream = match stream {
        Stream::Unix(stream) => {
            return speaker.serve(protocol, peer, Lenient::new(UnixStream::from_std(stream)?)).await;
        }
        Stream::Tcp(stream) => buffered(stream)?,
    };
    match terms.greet(stream, &mut peer).await {
        Ok(Greeted::Plaintext(stream)) => speaker.serve(protocol, peer, stream).await,
        Ok(Greeted::Encrypted(stream)) => speaker.serve(protocol, peer, *stream).await,
        Err(failure) => {
            if !failure.is_quiet() {
                connections.complain("tls-handshake-failed", failure.to_string(), &peer.name);
            }
            Err(io::Error::other(failure))
        }
    }
}

fn buffered(stream: std::net::TcpStream) -> io::Result<BufReader<BufWriter<TcpStream>>> {
    stream.set_nodelay(true)?;
    Ok(buffer(TcpStream::from_std(stream)?))
}

/// With the buffers that HTTP/2 wants on either side of it.
pub fn buffer<T: AsyncRead + AsyncWrite>(stream: T) -> BufReader<BufWriter<T>> {
    BufReader::with_capacity(READ_BUFFER, BufWriter::with_capacity(WRITE_BUFFER, stream))
}
