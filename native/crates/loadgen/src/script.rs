//! A peer that says what a test or a fuzz target made up, and takes as much as it is told to.

use crate::transport::Channel;
use std::{
    collections::VecDeque,
    io::{self, IoSlice},
};

#[derive(Default)]
pub struct Script {
    /// What each read gives; nothing more is `WouldBlock`, or the end where it is `closed`.
    pub says: VecDeque<Vec<u8>>,
    pub closed: bool,
    /// What was written.
    pub heard: Vec<u8>,
    /// How many bytes it still takes.
    pub room: usize,
}

impl Script {
    /// Says these bytes, so many of them with each read.
    pub fn new(bytes: &[u8], step: usize) -> Self {
        let says = bytes.chunks(step.max(1)).map(<[u8]>::to_vec).collect();
        Self { says, closed: false, heard: Vec::new(), room: usize::MAX }
    }
}

impl Channel for Script {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(mut next) = self.says.pop_front() else {
            return if self.closed { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
        };
        let count = next.len().min(buffer.len());
        buffer[..count].copy_from_slice(&next[..count]);
        if count < next.len() {
            self.says.push_front(next.split_off(count));
        }
        Ok(count)
    }

    fn write(&mut self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        let before = self.heard.len();
        for part in data {
            let count = part.len().min(self.room);
            self.heard.extend_from_slice(&part[..count]);
            self.room -= count;
        }
        match self.heard.len() - before {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }

    fn drained_by_short_read(&self) -> bool {
        // The next piece comes at once.
        false
    }
}
