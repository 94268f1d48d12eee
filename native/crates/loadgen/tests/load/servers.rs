//! Servers on loopback, a thread for each connection.

use crate::runs::PATIENCE;
use infermesh_loadgen::{NullServer, null_server::Speech};
use std::{
    collections::HashMap,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::mpsc,
    time::Duration,
};

pub fn null(speech: Speech) -> NullServer {
    NullServer::start(0, speech, Default::default(), 1).unwrap()
}

/// Gives each connection, with its number, to `conversation`. Returns the port.
pub fn serve(conversation: impl Fn(usize, TcpStream) + Clone + Send + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let (conversation, stream) = (conversation.clone(), patient(stream.unwrap()));
            std::thread::spawn(move || conversation(number, stream));
        }
    });
    port
}

pub fn patient(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// For tests in which time itself is what matters.
pub fn pause(time: Duration) {
    let (_kept, never) = mpsc::channel::<()>();
    assert!(never.recv_timeout(time).is_err());
}

/// The server's end of an HTTP/1.1 connection: answers each request, the probe like any other.
pub fn http(stream: TcpStream, mut answer: impl FnMut(&str, &[u8]) -> Option<String>) {
    let mut reader = BufReader::new(stream);
    while let Some((head, body)) = http_request(&mut reader) {
        match answer(&head, &body) {
            Some(text) if reader.get_mut().write_all(text.as_bytes()).is_ok() => {}
            _ => return,
        }
    }
}

fn http_request(reader: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}

pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
}

/// The server's end of an HTTP/2 connection.
pub struct Peer {
    stream: BufReader<TcpStream>,
    /// Header blocks and bytes of messages that are not whole, by stream.
    streams: HashMap<u32, (Vec<u8>, Vec<u8>)>,
    /// Streams that the client has reset.
    pub reset: Vec<u32>,
}

/// One gRPC message of a client.
pub struct Message {
    pub stream: u32,
    /// HPACK: literals in it can be found as they are.
    pub headers: Vec<u8>,
    pub body: Vec<u8>,
}

impl Peer {
    /// Exchanges the first words; `settings` are pairs of a number and a value.
    pub fn greet(stream: TcpStream, settings: &[(u16, u32)]) -> io::Result<Self> {
        let mut peer = Self { stream: BufReader::new(stream), streams: HashMap::new(), reset: Vec::new() };
        peer.stream.read_exact(&mut [0; 24])?;
        let entry = |&(name, value): &(u16, u32)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat();
        peer.send(kind::SETTINGS, 0, 0, &settings.iter().flat_map(entry).collect::<Vec<_>>())?;
        Ok(peer)
    }

    pub fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        let length = &(payload.len() as u32).to_be_bytes()[1..];
        let frame = [length, &[kind, flags], &stream.to_be_bytes(), payload].concat();
        self.stream.get_mut().write_all(&frame)
    }

    /// The next whole message; an error at the end of the connection.
    pub fn message(&mut self) -> io::Result<Message> {
        loop {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head)?;
            let [a, b, c, kind, flags, stream @ ..] = head;
            let stream = u32::from_be_bytes(stream);
            let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
            self.stream.read_exact(&mut payload)?;
            match kind {
                kind::SETTINGS if flags & 1 == 0 => self.send(kind::SETTINGS, 1, 0, &[])?,
                kind::HEADERS => drop(self.streams.insert(stream, (payload, Vec::new()))),
                kind::RST_STREAM => self.reset.push(stream),
                // The client has no more to say on a stream of many requests.
                kind::DATA if payload.is_empty() => self.end(stream, 0, "")?,
                kind::DATA => {
                    for id in [0, stream] {
                        self.send(kind::WINDOW_UPDATE, 0, id, &(payload.len() as u32).to_be_bytes())?;
                    }
                    let Some((headers, bytes)) = self.streams.get_mut(&stream) else { continue };
                    bytes.extend_from_slice(&payload);
                    let Some(&[_, length @ ..]) = bytes.first_chunk::<5>() else { continue };
                    let size = 5 + u32::from_be_bytes(length) as usize;
                    if bytes.len() >= size {
                        let body = bytes.drain(..size).skip(5).collect();
                        return Ok(Message { stream, headers: headers.clone(), body });
                    }
                }
                _ => {}
            }
        }
    }

    /// The beginning of an answer, and a message.
    pub fn say(&mut self, stream: u32, message: &[u8]) -> io::Result<()> {
        let prefixed = [&[0][..], &(message.len() as u32).to_be_bytes(), message].concat();
        self.send(kind::DATA, 0, stream, &prefixed)
    }

    /// `:status: 200` and a status of gRPC, with a message.
    pub fn end(&mut self, stream: u32, status: u8, message: &str) -> io::Result<()> {
        let status = status.to_string();
        let mut block = vec![0x88];
        for (name, value) in [("grpc-status", status.as_str()), ("grpc-message", message)] {
            block.extend_from_slice(&[0, name.len() as u8]);
            block.extend_from_slice(name.as_bytes());
            block.push(value.len() as u8);
            block.extend_from_slice(value.as_bytes());
        }
        self.send(kind::HEADERS, 5, stream, &block)
    }

    /// A good answer to a unary call.
    pub fn answer(&mut self, stream: u32, message: &[u8]) -> io::Result<()> {
        self.say(stream, message)?;
        self.end(stream, 0, "")
    }
}

/// Serves gRPC: `conversation` has each connection after the greeting, and its number.
pub fn grpc(
    settings: &'static [(u16, u32)],
    conversation: impl Fn(usize, &mut Peer) -> io::Result<()> + Clone + Send + 'static,
) -> u16 {
    serve(move |number, stream| {
        // The end of a connection is no news here: the generator tells how it fared.
        let _ = Peer::greet(stream, settings).and_then(|mut peer| conversation(number, &mut peer));
    })
}
