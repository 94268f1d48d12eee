//! Bytes from the socket, cut into frames. The payload of DATA is passed on in pieces, as it comes; others are whole.

use super::frame::{HEAD, Head, flag, kind};
use crate::{inbox::Inbox, transport::Channel};
use std::io;

const BUFFER: usize = 256 << 10;
/// Of a frame that is kept whole; larger ones were never allowed.
pub const MAX_WHOLE: usize = 64 << 10;

pub struct Input {
    inbox: Inbox,
    /// A DATA frame that has not all come.
    data: Option<Data>,
}

struct Data {
    head: Head,
    /// Bytes of its payload proper.
    missing: usize,
    /// Behind them.
    padding: usize,
    /// Nothing of it has been passed on.
    fresh: bool,
}

pub enum Piece<'a> {
    /// A part of a DATA frame; `last` if it is the end of the frame.
    Data {
        head: Head,
        bytes: &'a [u8],
        first: bool,
        last: bool,
    },
    Frame(Head, &'a [u8]),
}

impl Input {
    pub fn new() -> Self {
        Self { inbox: Inbox::new(BUFFER), data: None }
    }

    /// Nothing and no room, in place of one that is looked at.
    pub fn none() -> Self {
        Self { inbox: Inbox::none(), data: None }
    }

    /// Reads once. Whether there may be more; an error at the end of the stream.
    pub fn fill(&mut self, channel: &mut impl Channel, ending: bool) -> io::Result<bool> {
        self.inbox.fill(channel, ending)
    }

    /// Takes these bytes if they are all there; None if others are.
    pub fn skip(&mut self, wanted: &[u8]) -> Option<bool> {
        let found = self.inbox.bytes();
        if found.starts_with(wanted) {
            self.inbox.take(wanted.len());
            return Some(true);
        }
        wanted.starts_with(found).then_some(false)
    }

    /// The first bytes that nobody has taken.
    pub fn peek(&self) -> &[u8] {
        self.inbox.bytes()
    }

    /// The next frame, or piece of one; None until more is read. Fails for a frame that cannot be.
    pub fn next(&mut self) -> Result<Option<Piece<'_>>, String> {
        if self.data.is_none() {
            let Some(bytes) = self.inbox.bytes().first_chunk::<HEAD>() else { return Ok(None) };
            let head = Head::parse(bytes);
            if head.kind != kind::DATA {
                return self.whole(head);
            }
            if !self.begin(head)? {
                return Ok(None);
            }
        }
        Ok(self.piece())
    }

    fn whole(&mut self, head: Head) -> Result<Option<Piece<'_>>, String> {
        if head.length > MAX_WHOLE {
            return Err(format!("a frame of type {} has {} bytes", head.kind, head.length));
        }
        if self.inbox.len() < HEAD + head.length {
            return Ok(None);
        }
        Ok(Some(Piece::Frame(head, &self.inbox.take(HEAD + head.length)[HEAD..])))
    }

    /// Whether the head of a DATA frame, with the length of its padding, is there.
    fn begin(&mut self, head: Head) -> Result<bool, String> {
        let (mut size, mut padding) = (HEAD, 0);
        if head.flags & flag::PADDED != 0 {
            let Some(byte) = self.inbox.bytes().get(HEAD) else { return Ok(false) };
            (size, padding) = (HEAD + 1, usize::from(*byte));
        }
        let missing =
            (head.length + HEAD).checked_sub(size + padding).ok_or("a DATA frame of padding alone")?;
        self.inbox.take(size);
        self.data = Some(Data { head, missing, padding, fresh: true });
        Ok(true)
    }

    fn piece(&mut self) -> Option<Piece<'_>> {
        let data = self.data.as_mut()?;
        let (head, first) = (data.head, std::mem::take(&mut data.fresh));
        let shown = data.missing.min(self.inbox.len());
        let skipped = if shown == data.missing { data.padding.min(self.inbox.len() - shown) } else { 0 };
        data.missing -= shown;
        data.padding -= skipped;
        let last = data.missing + data.padding == 0;
        if shown + skipped == 0 && !first && !last {
            return None;
        }
        if last {
            self.data = None;
        }
        Some(Piece::Data { head, bytes: &self.inbox.take(shown + skipped)[..shown], first, last })
    }
}
