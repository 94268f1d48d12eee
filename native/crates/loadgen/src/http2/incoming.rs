//! What comes in: frames, one after the other.

use super::{
    connection::{Connection, WINDOW, give},
    frame::{flag, kind, put_head, reason, setting},
    input::{Input, MAX_WHOLE, Piece},
    outcome,
    stream::Stream,
};
use crate::{failure::Failure, link::Event};
use bytes::Bytes;

/// Room is given back in portions of this.
const PORTION: u32 = 1 << 30;
/// Answers to SETTINGS and PING that the peer may leave unread.
const MOST_OWED: u32 = 10_000;

impl Connection {
    pub(super) fn take(&mut self, events: &mut Vec<Event>) -> Result<(), String> {
        // Out of `self` while its frames are looked at.
        let mut input = std::mem::replace(&mut self.input, Input::none());
        let result = loop {
            let taken = match input.next() {
                Ok(None) => break Ok(()),
                Ok(Some(Piece::Data { head, bytes, first, last })) => {
                    if first {
                        self.account(head.stream, head.length as u32);
                    }
                    self.data(head.stream, bytes, last && head.flags & flag::END_STREAM != 0, events)
                }
                Ok(Some(Piece::Frame(head, payload))) => {
                    self.frame(head.kind, head.flags, head.stream, payload, events)
                }
                Err(why) => Err(why),
            };
            if taken.is_err() {
                break taken;
            }
        };
        self.input = input;
        result
    }

    /// Gives back the room that a frame took.
    fn account(&mut self, id: u32, count: u32) {
        self.taken += count;
        if self.taken >= PORTION {
            give(&mut self.out, 0, std::mem::take(&mut self.taken));
        }
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.taken += count;
            if stream.taken >= PORTION {
                give(&mut self.out, id, std::mem::take(&mut stream.taken));
            }
        }
    }

    fn data(&mut self, id: u32, bytes: &[u8], end: bool, events: &mut Vec<Event>) -> Result<(), String> {
        if self.partial.is_some() {
            return Err("another frame within a header block".into());
        }
        self.check_opened(id)?;
        // What comes after a request was given up.
        let Some(stream) = self.streams.get_mut(&id) else { return Ok(()) };
        let (ticket, streaming, message) = (stream.ticket, self.streaming, &mut stream.message);
        let taken = stream.assembly.take(bytes, stream.collect, |whole| match ticket {
            Some(ticket) if streaming => events.push(Event::Message { ticket, message: whole }),
            _ => *message = whole,
        });
        if let Err(why) = taken {
            // The other streams have nothing to do with it.
            self.reset(id);
            if let Some(stream) = self.forget(id) {
                self.over(stream, |_| Err(Failure::protocol(why)), events);
            }
        } else if end {
            self.ended(id, events);
        }
        Ok(())
    }

    fn frame(
        &mut self,
        kind: u8,
        flags: u8,
        id: u32,
        payload: &[u8],
        events: &mut Vec<Event>,
    ) -> Result<(), String> {
        if self.partial.is_some() && kind != kind::CONTINUATION {
            return Err("another frame within a header block".into());
        }
        if !self.settled && kind != kind::SETTINGS && kind != kind::GOAWAY {
            return Err("the server does not begin with SETTINGS: it does not speak HTTP/2".into());
        }
        match kind {
            kind::HEADERS | kind::RST_STREAM => self.check_opened(id)?,
            kind::SETTINGS | kind::PING | kind::GOAWAY if id != 0 => {
                return Err(format!("a frame of type {kind} on the stream {id}"));
            }
            _ => {}
        }
        match kind {
            kind::HEADERS => {
                let block = unpadded(flags, payload).ok_or("a HEADERS frame with impossible padding")?;
                if flags & flag::END_HEADERS != 0 {
                    return self.fields(id, flags, block, events);
                }
                self.partial = Some((id, flags, block.to_vec()));
            }
            kind::CONTINUATION => {
                let (stream, first, mut block) = self.partial.take().ok_or("a stray CONTINUATION")?;
                block.extend_from_slice(payload);
                if stream != id || block.len() > MAX_WHOLE {
                    return Err("a header block that is too long, or continues on another stream".into());
                }
                if flags & flag::END_HEADERS != 0 {
                    return self.fields(id, first, &block, events);
                }
                self.partial = Some((id, first, block));
            }
            kind::RST_STREAM => self.was_reset(id, number(payload)?, events),
            kind::SETTINGS if flags & flag::ACK == 0 => self.settings(payload)?,
            kind::PING if payload.len() != 8 => return Err("a PING that is not of 8 bytes".into()),
            kind::PING if flags & flag::ACK == 0 => {
                self.owe()?;
                self.out.put(&put_head(payload.len(), kind::PING, flag::ACK, 0));
                self.out.put(payload);
            }
            kind::GOAWAY => self.goaway(payload, events)?,
            kind::WINDOW_UPDATE => self.widen(id, i64::from(number(payload)? & WINDOW))?,
            kind::PUSH_PROMISE => return Err("a promise of a push, which was ruled out".into()),
            _ => {}
        }
        Ok(())
    }

    /// Fails for a stream that this side has never opened.
    fn check_opened(&self, id: u32) -> Result<(), String> {
        match id % 2 == 1 && id < self.next_stream {
            true => Ok(()),
            false => Err(format!("a frame on the stream {id}, which nobody opened")),
        }
    }

    /// One more answer that the peer asked for and has not read.
    fn owe(&mut self) -> Result<(), String> {
        self.owed += 1;
        if self.owed > MOST_OWED {
            return Err("the server asks for more answers than it reads".into());
        }
        Ok(())
    }

    fn widen(&mut self, id: u32, count: i64) -> Result<(), String> {
        let opened = id == 0 || self.check_opened(id).is_ok();
        let window = match self.streams.get_mut(&id) {
            Some(stream) => &mut stream.window,
            None if id == 0 => &mut self.window,
            // What comes after a stream has ended.
            None if opened && count > 0 => return Ok(()),
            None => return Err(format!("an impossible WINDOW_UPDATE on the stream {id}")),
        };
        *window += count;
        if count == 0 || *window > i64::from(WINDOW) {
            return Err(format!("a WINDOW_UPDATE of {count}, to {window} in all, on the stream {id}"));
        }
        if id == 0 {
            self.push_blocked()
        } else {
            self.push(id)
        }
        Ok(())
    }

    fn fields(&mut self, id: u32, flags: u8, block: &[u8], events: &mut Vec<Event>) -> Result<(), String> {
        let found = self.decoder.decode(block).ok_or("a header block that is not HPACK")?;
        let Some(stream) = self.streams.get_mut(&id) else { return Ok(()) };
        stream.fields.status = found.status.or(stream.fields.status);
        stream.fields.grpc_status = found.grpc_status.or(stream.fields.grpc_status);
        if found.grpc_message.is_some() {
            stream.fields.grpc_message = found.grpc_message;
        }
        if flags & flag::END_STREAM != 0 {
            self.ended(id, events);
        }
        Ok(())
    }

    /// The peer has ended a stream: what its fields say is how the request ended.
    fn ended(&mut self, id: u32, events: &mut Vec<Event>) {
        let Some(stream) = self.forget(id) else { return };
        if stream.rest.is_some() || self.streaming && !stream.ended {
            // This side has not ended it.
            self.reset(id);
        }
        let streaming = self.streaming;
        self.over(stream, |stream| outcome::of(stream, streaming), events);
    }

    fn was_reset(&mut self, id: u32, code: u32, events: &mut Vec<Event>) {
        if let Some(stream) = self.forget(id) {
            self.over(stream, |_| Err(outcome::of_reset(code)), events);
        }
    }

    /// Tells how the request on a stream ended, if there is one.
    fn over(
        &self,
        stream: Stream,
        result: impl FnOnce(Stream) -> Result<Bytes, Failure>,
        events: &mut Vec<Event>,
    ) {
        let Some(ticket) = stream.ticket else { return };
        // Messages of a stream that carries several requests have been told one by one.
        let received = if self.streaming { 0 } else { stream.assembly.received };
        events.push(Event::End { ticket, result: result(stream), received });
    }

    fn settings(&mut self, payload: &[u8]) -> Result<(), String> {
        let (entries, rest) = payload.as_chunks::<6>();
        if !rest.is_empty() {
            return Err("SETTINGS that end within one of them".into());
        }
        for entry in entries {
            let [a, b, value @ ..] = *entry;
            let value = u32::from_be_bytes(value);
            match u16::from_be_bytes([a, b]) {
                setting::HEADER_TABLE_SIZE => self.headers.limit(value as usize),
                setting::MAX_CONCURRENT_STREAMS => self.max_streams = value as usize,
                setting::INITIAL_WINDOW_SIZE if value > WINDOW => {
                    return Err(format!("windows of {value} bytes, which HTTP/2 does not know"));
                }
                setting::INITIAL_WINDOW_SIZE => {
                    let change = i64::from(value) - self.initial_window;
                    self.initial_window += change;
                    self.streams.values_mut().for_each(|stream| stream.window += change);
                }
                setting::MAX_FRAME_SIZE if !(16_384..1 << 24).contains(&value) => {
                    return Err(format!("frames of {value} bytes, which HTTP/2 does not know"));
                }
                setting::MAX_FRAME_SIZE => self.max_frame = value as usize,
                _ => {}
            }
        }
        self.settled = true;
        self.owe()?;
        self.out.put(&put_head(0, kind::SETTINGS, flag::ACK, 0));
        let mut waiting: Vec<_> =
            self.streams.iter().filter(|(_, stream)| stream.rest.is_some()).map(|(id, _)| *id).collect();
        waiting.sort_unstable();
        waiting.into_iter().for_each(|id| self.push(id));
        Ok(())
    }

    fn goaway(&mut self, payload: &[u8], events: &mut Vec<Event>) -> Result<(), String> {
        let last = number(payload)? & WINDOW;
        let code = number(payload.get(4..).unwrap_or_default())?;
        if !self.settled {
            return Err(format!("the server refuses the connection: GOAWAY {}", reason(code)));
        }
        self.leaving = true;
        if code != 0 {
            let more = String::from_utf8_lossy(&payload[8..]).into_owned();
            self.farewell = Some(format!("GOAWAY {} {more}", reason(code)).trim_end().to_owned());
        }
        let mut refused: Vec<_> = self.streams.keys().copied().filter(|id| *id > last).collect();
        refused.sort_unstable();
        for id in refused {
            if let Some(stream) = self.forget(id) {
                self.over(stream, |_| Err(outcome::of_goaway(code)), events);
            }
        }
        Ok(())
    }
}

fn number(payload: &[u8]) -> Result<u32, String> {
    let bytes = payload.first_chunk().ok_or("a frame that is too short")?;
    Ok(u32::from_be_bytes(*bytes))
}

fn unpadded(flags: u8, payload: &[u8]) -> Option<&[u8]> {
    let mut block = payload;
    let mut padding = 0;
    if flags & flag::PADDED != 0 {
        let (first, rest) = block.split_first()?;
        (padding, block) = (usize::from(*first), rest);
    }
    if flags & flag::PRIORITY != 0 {
        block = block.get(5..)?;
    }
    block.get(..block.len().checked_sub(padding)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_taken_off() {
        assert_eq!(unpadded(flag::PADDED, &[2, 9, 0, 0]), Some(&[9][..]));
        assert_eq!(unpadded(flag::PRIORITY, &[0, 0, 0, 0, 0, 9]), Some(&[9][..]));
        assert_eq!(unpadded(flag::PADDED, &[5, 9]), None);
    }
}
