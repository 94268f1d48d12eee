//! Bytes that wait for the socket: small ones side by side in one buffer, large ones where they are.

use crate::transport::Channel;
use bytes::{Buf, Bytes, BytesMut};
use smallvec::SmallVec;
use std::{collections::VecDeque, io};

/// What is smaller is copied: a slice of its own costs as much.
const COPIED: usize = 8 << 10;
const SLICES: usize = 32;

#[derive(Default)]
pub struct Outbox {
    /// Before `tail`.
    chunks: VecDeque<Bytes>,
    tail: BytesMut,
    /// Bytes in both.
    length: usize,
}

impl Outbox {
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub fn len(&self) -> usize {
        self.length
    }

    #[inline]
    pub fn put(&mut self, data: &[u8]) {
        self.tail.extend_from_slice(data);
        self.length += data.len();
    }

    pub fn put_shared(&mut self, data: Bytes) {
        if data.len() <= COPIED {
            return self.put(&data);
        }
        if !self.tail.is_empty() {
            self.chunks.push_back(self.tail.split().freeze());
        }
        self.length += data.len();
        self.chunks.push_back(data);
    }

    /// As much as the socket takes.
    pub fn flush(&mut self, channel: &mut impl Channel) -> io::Result<()> {
        while !self.is_empty() {
            let written = if self.chunks.is_empty() {
                channel.write(&[io::IoSlice::new(&self.tail)])
            } else {
                let mut slices: SmallVec<[_; SLICES]> =
                    self.chunks.iter().take(SLICES).map(|chunk| io::IoSlice::new(chunk)).collect();
                if slices.len() < SLICES && !self.tail.is_empty() {
                    slices.push(io::IoSlice::new(&self.tail));
                }
                channel.write(&slices)
            };
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.advance(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn advance(&mut self, mut count: usize) {
        self.length -= count;
        while count > 0 {
            let Some(first) = self.chunks.front_mut() else { break };
            let step = count.min(first.len());
            first.advance(step);
            if first.is_empty() {
                self.chunks.pop_front();
            }
            count -= step;
        }
        if count == self.tail.len() {
            self.tail.clear();
        } else {
            self.tail.advance(count);
        }
    }
}
