//! A non-blocking byte stream: TCP or a unix socket, in the clear or over TLS.

use crate::plan::Address;
use mio::{
    Interest, Registry, Token,
    net::{TcpStream, UnixStream},
};
use rustls::{ClientConfig, ClientConnection, pki_types::ServerName};
use std::{
    io::{self, IoSlice, Read, Write},
    net::{SocketAddr, ToSocketAddrs},
    sync::Arc,
};

/// What a connection reads from and writes to, without ever waiting for it.
pub trait Channel {
    /// `WouldBlock` if there is nothing; 0 at the end.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;
    /// `WouldBlock` if there is no room.
    fn write(&mut self, data: &[IoSlice<'_>]) -> io::Result<usize>;
    /// Whether a short read means that there is no more: not so where TLS holds decrypted bytes.
    fn drained_by_short_read(&self) -> bool;
}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

pub struct Transport {
    socket: Socket,
    tls: Option<Box<ClientConnection>>,
}

/// Where to connect to, looked up once: a name may have several addresses, which connections take in turns.
pub enum Destination {
    Tcp(Vec<SocketAddr>),
    Unix(std::path::PathBuf),
}

impl Destination {
    pub fn look_up(address: &Address) -> io::Result<Self> {
        match address {
            Address::Unix(path) => Ok(Self::Unix(path.clone())),
            Address::Tcp(host, port) => {
                let found: Vec<_> = (host.as_str(), *port).to_socket_addrs()?.collect();
                // `localhost` has addresses of both families where servers often listen on one alone.
                let family: Vec<_> = found.iter().copied().filter(SocketAddr::is_ipv4).collect();
                match if family.is_empty() { found } else { family } {
                    none if none.is_empty() => Err(io::Error::other("its name has no address")),
                    some => Ok(Self::Tcp(some)),
                }
            }
        }
    }
}

impl Transport {
    /// Begins to connect; the socket is writable once that is done, or has failed.
    pub fn connect(
        destination: &Destination,
        turn: usize,
        tls: Option<&(Arc<ClientConfig>, ServerName<'static>)>,
    ) -> io::Result<Self> {
        let socket = match destination {
            Destination::Tcp(addresses) => {
                Socket::Tcp(TcpStream::connect(addresses[turn % addresses.len()])?)
            }
            Destination::Unix(path) => Socket::Unix(UnixStream::connect(path)?),
        };
        let tls = tls
            .map(|(config, name)| ClientConnection::new(config.clone(), name.clone()).map(Box::new))
            .transpose()
            .map_err(io::Error::other)?;
        Ok(Self { socket, tls })
    }

    /// The other end of a connection in the clear.
    pub fn accepted(socket: TcpStream) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        Ok(Self { socket: Socket::Tcp(socket), tls: None })
    }

    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        match &mut self.socket {
            Socket::Tcp(socket) => registry.register(socket, token, interest),
            Socket::Unix(socket) => registry.register(socket, token, interest),
        }
    }

    /// Whether the connection stands; an error if it has failed.
    pub fn connected(&mut self) -> io::Result<bool> {
        let (failed, peer) = match &self.socket {
            Socket::Tcp(socket) => (socket.take_error()?, socket.peer_addr().map(drop)),
            Socket::Unix(socket) => (socket.take_error()?, socket.peer_addr().map(drop)),
        };
        match (failed, peer) {
            (Some(error), _) => Err(error),
            (None, Err(error)) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            (None, Err(error)) => Err(error),
            (None, Ok(())) => {
                if let Socket::Tcp(socket) = &self.socket {
                    // Nobody listens, and the system happened to give this end the very port that it calls.
                    if socket.local_addr()? == socket.peer_addr()? {
                        return Err(io::ErrorKind::ConnectionRefused.into());
                    }
                    socket.set_nodelay(true)?;
                }
                Ok(true)
            }
        }
    }

    /// Carries the TLS handshake on; whether it is over. There is none in the clear.
    pub fn handshake(&mut self) -> io::Result<bool> {
        let Some(tls) = &mut self.tls else { return Ok(true) };
        while tls.is_handshaking() {
            if tls.wants_write() {
                match tls.write_tls(&mut self.socket) {
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                    Err(error) => return Err(error),
                }
            } else {
                match tls.read_tls(&mut self.socket) {
                    Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(_) => {
                        if let Err(error) = tls.process_new_packets() {
                            // The alert that tells the server why.
                            let _ = tls.write_tls(&mut self.socket);
                            return Err(refused(error));
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(true)
    }

    /// The protocol that TLS agreed on.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.tls.as_ref().and_then(|tls| tls.alpn_protocol())
    }

    /// Sends what TLS has encrypted.
    pub fn flush(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                tls.write_tls(&mut self.socket)?;
            }
        }
        Ok(())
    }
}

impl Channel for Transport {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.socket.read(buffer) };
        loop {
            match tls.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
            if tls.read_tls(&mut self.socket)? == 0 {
                return Ok(0);
            }
            tls.process_new_packets().map_err(io::Error::other)?;
        }
    }

    fn write(&mut self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        // What TLS still holds goes first: its buffer would take nothing more.
        self.flush()?;
        let Some(tls) = &mut self.tls else { return self.socket.write_vectored(data) };
        let written = tls.writer().write_vectored(data)?;
        match self.flush() {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(written),
        }
    }

    fn drained_by_short_read(&self) -> bool {
        self.tls.is_none()
    }
}

/// A failed handshake, with a reason that is easy to mistake in plain words.
fn refused(error: rustls::Error) -> io::Error {
    match error {
        rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => {
            io::Error::other("the server does not speak TLS here")
        }
        other => io::Error::other(other),
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.read(buffer),
            Self::Unix(socket) => socket.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.write(data),
            Self::Unix(socket) => socket.write(data),
        }
    }

    fn write_vectored(&mut self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.write_vectored(data),
            Self::Unix(socket) => socket.write_vectored(data),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
