//! One connection of whichever kind, from its first byte to its last.

use crate::{
    failure::Failure,
    http1, http2,
    message::Request,
    plan::{Plan, Protocol},
    transport::{Destination, Transport},
};
use bytes::Bytes;
use mio::{Registry, Token};
use std::io;

/// Reads of one connection in a row: others, and the schedule, have their turn after so many.
pub const READS: usize = 16;

/// What has happened to a request.
#[derive(Debug)]
pub enum Event {
    /// One of its answers.
    Message { ticket: usize, message: Bytes },
    /// It is over. The answer is empty where it was not wanted.
    End { ticket: usize, result: Result<Bytes, Failure>, received: u64 },
}

enum Speaker {
    Http1(Box<http1::Connection>),
    Http2(Box<http2::Connection>),
}

#[derive(PartialEq, Eq)]
enum Stage {
    Connecting,
    Handshake,
    Speaking,
}

pub struct Link {
    transport: Transport,
    speaker: Speaker,
    stage: Stage,
    /// The peer sends no more: what it has sent is to be read to its end.
    ending: bool,
}

impl Link {
    /// With `probe`, HTTP/1.1 asks whether the server lives before anything else.
    pub fn connect(
        plan: &Plan,
        destination: &Destination,
        turn: usize,
        probe: bool,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        let mut transport = Transport::connect(destination, turn, plan.endpoint.tls.as_ref())?;
        transport.register(registry, token)?;
        let speaker = match plan.endpoint.protocol {
            Protocol::Http => Speaker::Http1(Box::new(http1::Connection::new(plan, probe))),
            Protocol::Grpc | Protocol::GrpcStream => Speaker::Http2(Box::new(http2::Connection::new(plan))),
        };
        Ok(Self { transport, speaker, stage: Stage::Connecting, ending: false })
    }

    /// Whether requests can be sent, or could be if there were room.
    pub fn is_open(&self) -> bool {
        self.is_settled() && !self.is_leaving()
    }

    /// Whether the peer has shown that it speaks the protocol.
    pub fn is_settled(&self) -> bool {
        self.stage == Stage::Speaking
            && match &self.speaker {
                Speaker::Http1(connection) => connection.settled(),
                Speaker::Http2(connection) => connection.settled(),
            }
    }

    /// Whether it ends as soon as nothing is under way.
    pub fn is_leaving(&self) -> bool {
        match &self.speaker {
            Speaker::Http1(connection) => connection.leaving(),
            Speaker::Http2(connection) => connection.leaving(),
        }
    }

    pub fn has_room(&self, route: usize) -> bool {
        self.stage == Stage::Speaking
            && match &self.speaker {
                Speaker::Http1(connection) => connection.has_room(),
                Speaker::Http2(connection) => connection.has_room(route),
            }
    }

    /// Room was wanted and there was none; whether something is to be sent to have it.
    pub fn make_room(&mut self, route: usize) -> bool {
        match &mut self.speaker {
            Speaker::Http1(_) => false,
            Speaker::Http2(connection) => connection.make_room(route),
        }
    }

    /// The requests under way.
    pub fn tickets(&self) -> Vec<usize> {
        match &self.speaker {
            Speaker::Http1(connection) => connection.ticket().into_iter().collect(),
            Speaker::Http2(connection) => connection.tickets().collect(),
        }
    }

    /// Returns what `cancel` and `release` want to know the request by.
    pub fn send(&mut self, plan: &Plan, ticket: usize, request: &Request<'_>) -> u32 {
        match &mut self.speaker {
            Speaker::Http1(connection) => {
                connection.send(plan, ticket, request);
                0
            }
            Speaker::Http2(connection) => connection.send(plan, ticket, request),
        }
    }

    /// Whether the connection can go on without the answer of a request that is given up.
    pub fn cancel(&mut self, stream: u32) -> bool {
        match &mut self.speaker {
            Speaker::Http1(_) => false,
            Speaker::Http2(connection) => {
                connection.cancel(stream);
                true
            }
        }
    }

    pub fn release(&mut self, stream: u32) {
        if let Speaker::Http2(connection) = &mut self.speaker {
            connection.release(stream);
        }
    }

    /// Sends what waits. Whether there is room now that was taken by bytes before.
    pub fn flush(&mut self) -> bool {
        if self.stage != Stage::Speaking {
            return false;
        }
        // A broken pipe is told with the reason when it is read, if the peer gave one.
        match &mut self.speaker {
            Speaker::Http1(connection) => {
                let _ = connection.flush(&mut self.transport);
                false
            }
            Speaker::Http2(connection) => {
                let full = connection.is_full();
                let _ = connection.flush(&mut self.transport);
                full && !connection.is_full()
            }
        }
    }

    /// The socket has something to say, or `ready` left something to be read. Whether it does so again.
    pub fn ready(&mut self, ending: bool, events: &mut Vec<Event>) -> Result<bool, Failure> {
        self.ending |= ending;
        if self.stage == Stage::Connecting {
            if !self.transport.connected().map_err(|error| Failure::connection(error.to_string()))? {
                return Ok(false);
            }
            self.stage = Stage::Handshake;
        }
        if self.stage == Stage::Handshake {
            let done = self.transport.handshake();
            if !done.map_err(|error| Failure::connection(format!("TLS: {error}")))? {
                return Ok(false);
            }
            if let (Speaker::Http2(_), Some(other)) =
                (&self.speaker, self.transport.alpn().filter(|name| name != b"h2"))
            {
                let other = String::from_utf8_lossy(other).into_owned();
                return Err(Failure::protocol(format!("the server chose {other} and not HTTP/2")));
            }
            self.stage = Stage::Speaking;
        }
        // What TLS still held back.
        let _ = self.transport.flush();
        self.flush();
        match &mut self.speaker {
            Speaker::Http1(connection) => connection.read(&mut self.transport, self.ending, events),
            Speaker::Http2(connection) => connection.read(&mut self.transport, self.ending, events),
        }
    }

    /// Says good-bye where the protocol has a word for it.
    pub fn close(mut self) {
        if let (Stage::Speaking, Speaker::Http2(connection)) = (&self.stage, &mut self.speaker) {
            connection.finish();
            let _ = connection.flush(&mut self.transport);
        }
    }
}
