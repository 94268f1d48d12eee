//! One connection: requests out, how they ended back.

use super::{
    frame::{PREFACE, kind, put_head, setting},
    headers::Headers,
    input::Input,
    stream::Stream,
};
use crate::{
    failure::Failure,
    hpack::Decoder,
    link::{Event, READS},
    outbox::Outbox,
    plan::{Plan, Protocol},
    transport::Channel,
};
use rustc_hash::FxHashMap;
use std::{collections::VecDeque, io};

/// The largest there is, for streams and the connection: the generator reads whatever comes.
pub(super) const WINDOW: u32 = (1 << 31) - 1;
const INITIAL_WINDOW: i64 = 65_535;
/// Frames of DATA that are read in pieces may be long.
const FRAME: u32 = 1 << 20;
const LAST_STREAM: u32 = (1 << 31) - 1;
/// No request is added to more unsent bytes than these: a server that does not read would fill the memory.
const MOST_UNSENT: usize = 1 << 20;

pub struct Connection {
    pub(super) out: Outbox,
    pub(super) input: Input,
    pub(super) headers: Headers,
    pub(super) decoder: Decoder,
    pub(super) streams: FxHashMap<u32, Stream>,
    /// Open streams that wait for their next request, by route.
    pub(super) idle: Vec<Vec<u32>>,
    /// Streams that wait for the connection's window.
    pub(super) blocked: VecDeque<u32>,
    /// Streams that this side has ended to make room for others.
    pub(super) ending: usize,
    /// A header block that continues, with the flags of its first frame.
    pub(super) partial: Option<(u32, u8, Vec<u8>)>,
    pub(super) next_stream: u32,
    pub(super) window: i64,
    pub(super) initial_window: i64,
    pub(super) max_frame: usize,
    pub(super) max_streams: usize,
    pub(super) taken: u32,
    pub(super) owed: u32,
    pub(super) settled: bool,
    pub(super) leaving: bool,
    /// Why the peer is leaving.
    pub(super) farewell: Option<String>,
    pub(super) streaming: bool,
}

impl Connection {
    pub fn new(plan: &Plan) -> Self {
        let mut out = Outbox::default();
        out.put(PREFACE);
        let settings = [
            (setting::ENABLE_PUSH, 0),
            (setting::INITIAL_WINDOW_SIZE, WINDOW),
            (setting::MAX_FRAME_SIZE, FRAME),
        ];
        out.put(&put_head(settings.len() * 6, kind::SETTINGS, 0, 0));
        for (name, value) in settings {
            out.put(&name.to_be_bytes());
            out.put(&value.to_be_bytes());
        }
        give(&mut out, 0, WINDOW - INITIAL_WINDOW as u32);
        Self {
            out,
            input: Input::new(),
            headers: Headers::new(plan.workloads.len()),
            decoder: Decoder::new(),
            streams: FxHashMap::default(),
            idle: vec![Vec::new(); plan.workloads.len()],
            blocked: VecDeque::new(),
            ending: 0,
            partial: None,
            next_stream: 1,
            window: INITIAL_WINDOW,
            initial_window: INITIAL_WINDOW,
            max_frame: 16 << 10,
            max_streams: usize::MAX,
            taken: 0,
            owed: 0,
            settled: false,
            leaving: false,
            farewell: None,
            streaming: plan.endpoint.protocol == Protocol::GrpcStream,
        }
    }

    /// Whether the peer has shown that it speaks HTTP/2.
    pub fn settled(&self) -> bool {
        self.settled
    }

    /// Whether the peer wants no more requests.
    pub fn leaving(&self) -> bool {
        self.leaving || self.next_stream >= LAST_STREAM
    }

    /// Whether the peer has to read before it gets more.
    pub fn is_full(&self) -> bool {
        self.out.len() >= MOST_UNSENT
    }

    /// Whether it takes another request, of this route.
    pub fn has_room(&self, route: usize) -> bool {
        self.settled
            && !self.leaving()
            && !self.is_full()
            && (self.streams.len() < self.max_streams || !self.idle[route].is_empty())
    }

    /// The requests under way.
    pub fn tickets(&self) -> impl Iterator<Item = usize> {
        self.streams.values().filter_map(|stream| stream.ticket)
    }

    /// Takes a stream out of all lists.
    pub(super) fn forget(&mut self, id: u32) -> Option<Stream> {
        let stream = self.streams.remove(&id)?;
        if stream.queued {
            self.blocked.retain(|blocked| *blocked != id);
        }
        if stream.ended {
            self.ending -= 1;
        } else if stream.ticket.is_none() {
            self.idle[stream.route].retain(|idle| *idle != id);
        }
        Some(stream)
    }

    pub fn flush(&mut self, channel: &mut impl Channel) -> io::Result<()> {
        if !self.out.is_empty() {
            self.out.flush(channel)?;
        }
        if self.out.is_empty() {
            self.owed = 0;
        }
        Ok(())
    }

    /// Reads what is there, up to a limit; whether there may be more. Fails, with all requests under way, if the
    /// connection has.
    pub fn read(
        &mut self,
        channel: &mut impl Channel,
        ending: bool,
        events: &mut Vec<Event>,
    ) -> Result<bool, Failure> {
        for _ in 0..READS {
            let more = self.input.fill(channel, ending).map_err(|error| self.lost(&error))?;
            if !self.settled {
                recognise(self.input.peek()).map_err(Failure::protocol)?;
            }
            self.take(events).map_err(Failure::protocol)?;
            if !more {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn lost(&self, error: &io::Error) -> Failure {
        let closed = error.kind() == io::ErrorKind::UnexpectedEof;
        let what = if closed { "the server closed the connection".to_owned() } else { error.to_string() };
        Failure::connection(match &self.farewell {
            Some(why) => format!("{what}: {why}"),
            None if self.settled => what,
            None => format!("{what} before a word of HTTP/2: is this its gRPC port, and does it expect TLS?"),
        })
    }
}

/// Fails for the first bytes of a server that speaks something else.
fn recognise(bytes: &[u8]) -> Result<(), String> {
    if bytes.starts_with(b"HTTP/1.") {
        return Err("the server answers in HTTP/1.1, not HTTP/2: is this its HTTP port?".into());
    }
    // An alert.
    if bytes.starts_with(&[21, 3]) {
        return Err("the server speaks TLS, and this connection is in the clear".into());
    }
    Ok(())
}

/// Tells the peer that there is room for so many bytes more.
pub(super) fn give(out: &mut Outbox, id: u32, count: u32) {
    out.put(&put_head(4, kind::WINDOW_UPDATE, 0, id));
    out.put(&count.to_be_bytes());
}
