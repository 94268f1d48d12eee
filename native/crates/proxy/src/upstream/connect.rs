//! From an address to a connected socket.

use super::address::Address;
use std::{io, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite, BufReader, BufWriter},
    net::{TcpStream, UnixStream, lookup_host},
    time::timeout,
};

/// A connected socket, of any kind.
pub trait Io: AsyncRead + AsyncWrite + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + 'static> Io for T {}

pub enum Socket {
    Tcp(BufReader<BufWriter<TcpStream>>),
    Unix(BufReader<BufWriter<UnixStream>>),
}

/// Fails within `limit`, with what a person has to know.
pub async fn connect(address: &Address, limit: Duration) -> Result<Socket, String> {
    let connected = timeout(limit, async {
        match address {
            Address::Unix(path) => UnixStream::connect(path)
                .await
                .map(|stream| Socket::Unix(infermesh_transport::socket::buffer(stream))),
            Address::Tcp { host, port } => {
                let stream = tcp(host, *port).await?;
                stream.set_nodelay(true)?;
                Ok(Socket::Tcp(infermesh_transport::socket::buffer(stream)))
            }
        }
    });
    match connected.await {
        Ok(Ok(socket)) => Ok(socket),
        Ok(Err(error)) => Err(format!("cannot connect to {address}: {error}")),
        Err(_) => Err(format!("cannot connect to {address}: no answer within {limit:?}")),
    }
}

async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    // An address needs no resolver, and no thread to ask it.
    if let Ok(ip) = host.parse() {
        return TcpStream::connect(std::net::SocketAddr::new(ip, port)).await;
    }
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in lookup_host((host, port)).await? {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}
