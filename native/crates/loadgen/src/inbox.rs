//! Bytes that came from the socket and that nobody has taken yet.

use crate::transport::Channel;
use std::io;

/// One buffer for the life of a connection, so that nothing is cleared or allocated to read.
pub struct Inbox {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Inbox {
    pub fn new(size: usize) -> Self {
        Self { buffer: vec![0; size].into(), start: 0, end: 0 }
    }

    /// Nothing and no room, in place of one that is looked at.
    pub fn none() -> Self {
        Self::new(0)
    }

    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    pub fn len(&self) -> usize {
        self.end - self.start
    }

    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Whether nothing more can be read before something is taken.
    pub fn is_full(&self) -> bool {
        self.len() == self.buffer.len()
    }

    /// So many bytes, which must be there.
    pub fn take(&mut self, count: usize) -> &[u8] {
        let from = self.start;
        self.start += count;
        &self.buffer[from..self.start]
    }

    /// Reads once; there must be room. Whether there may be more; an error at the end of the stream.
    ///
    /// A short read means that there is no more, and that the poll will tell when there is: not so where the peer has
    /// closed (`ending`), because that was told already.
    pub fn fill(&mut self, channel: &mut impl Channel, ending: bool) -> io::Result<bool> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start.., 0);
            self.end -= self.start;
            self.start = 0;
        }
        let room = self.buffer.len() - self.end;
        match channel.read(&mut self.buffer[self.end..]) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                self.end += count;
                Ok(count == room || ending || !channel.drained_by_short_read())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(error),
        }
    }
}
