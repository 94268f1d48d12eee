//! From an address to a connected socket.

use super::address::Address;
use infermesh_transport::{socket::buffer, tls::Upstream};
use rustls::pki_types::{IpAddr, ServerName};
use std::{io, time::Duration};
use tokio::{
    io::{BufReader, BufWriter},
    net::{TcpStream, UnixStream, lookup_host},
    time::{Instant, timeout_at},
};
use tokio_rustls::client::TlsStream;

type Buffered<T> = BufReader<BufWriter<T>>;

pub enum Socket {
    Tcp(Buffered<TcpStream>),
    Tls(Box<TlsStream<Buffered<TcpStream>>>),
    Unix(Buffered<UnixStream>),
}

/// How a cluster's servers are known.
pub struct Secure {
    pub upstream: Upstream,
    /// What is asked for; by default the endpoint's host.
    pub name: Option<ServerName<'static>>,
}

/// How long all that it takes to connect may take.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    pub deadline: Instant,
    /// For people.
    pub whole: Duration,
}

impl Limit {
    pub fn from_now(whole: Duration) -> Self {
        Self { deadline: Instant::now() + whole, whole }
    }
}

/// Fails within the limit, with what a person has to know. A unix socket is never encrypted: it does not leave the machine.
pub async fn connect(
    address: &Address,
    secure: Option<&Secure>,
    protocol: &[u8],
    Limit { deadline, whole }: Limit,
) -> Result<Socket, String> {
    let failed = |error: io::Error| format!("cannot connect to {address}: {error}");
    let late = |_| format!("cannot connect to {address}: no answer within {whole:?}");
    match address {
        Address::Unix(path) => {
            let stream = timeout_at(deadline, UnixStream::connect(path)).await.map_err(late)?;
            Ok(Socket::Unix(buffer(stream.map_err(failed)?)))
        }
        Address::Tcp { host, port } => {
            let stream = timeout_at(deadline, tcp(host, *port)).await.map_err(late)?.map_err(failed)?;
            stream.set_nodelay(true).map_err(failed)?;
            let Some(Secure { upstream, name }) = secure else { return Ok(Socket::Tcp(buffer(stream))) };
            let name = match name {
                Some(name) => name.clone(),
                None => server_name(host)?,
            };
            let peer = address.to_string();
            let shaken = upstream.connect(buffer(stream), name, &[protocol], &peer, deadline).await;
            shaken.map(|secured| Socket::Tls(Box::new(secured.stream))).map_err(|failure| failure.to_string())
        }
    }
}

fn server_name(host: &str) -> Result<ServerName<'static>, String> {
    if let Ok(ip) = host.parse::<std::net::IpAddr>() {
        return Ok(ServerName::IpAddress(IpAddr::from(ip)));
    }
    ServerName::try_from(host.to_owned()).map_err(|_| format!("'{host}' is no name that TLS can ask for"))
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
