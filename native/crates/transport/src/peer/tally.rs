//! What is known of a connection while it lasts; its stream, its answers and its guard write here.

use super::life::Facts;
use crate::budget::{Hold, Purse};
use bytes::{Buf, Bytes};
use std::{cell::Cell, rc::Rc};
use tokio::time::Instant;

pub struct Tally {
    pub purse: Rc<Purse>,
    pub last_read: Cell<Instant>,
    pub last_written: Cell<Instant>,
    /// Whether no request was under way when it was last looked at.
    pub idle: Cell<bool>,
    /// Since when a header block is unfinished.
    pub block: Cell<Option<Instant>>,
    /// Headers and data frames sent.
    pub sent: Cell<u64>,
    /// What the peer has done too much of, if it has.
    pub verdict: Cell<Option<&'static str>>,
    /// Bytes of answers that wait to be taken.
    unsent: Cell<usize>,
}

impl Tally {
    pub fn new(purse: Rc<Purse>) -> Rc<Self> {
        let now = Instant::now();
        Rc::new(Self {
            purse,
            last_read: Cell::new(now),
            last_written: Cell::new(now),
            idle: Cell::new(true),
            block: Cell::new(None),
            sent: Cell::new(0),
            verdict: Cell::new(None),
            unsent: Cell::new(0),
        })
    }

    pub fn facts(&self, has_streams: bool) -> Facts {
        Facts {
            last_read: self.last_read.get(),
            last_written: self.last_written.get(),
            has_streams,
            has_unsent: self.unsent.get() > 0,
            block: self.block.get(),
            sent: self.sent.get(),
        }
    }
}

/// So many bytes of an answer wait to be taken, for as long as this lives.
pub struct Unsent {
    tally: Rc<Tally>,
    bytes: usize,
    _hold: Hold,
}

impl Unsent {
    pub fn new(tally: &Rc<Tally>, bytes: usize) -> Self {
        if tally.unsent.get() == 0 {
            // The peer's time runs from when there is something to take.
            tally.last_written.set(Instant::now());
        }
        tally.unsent.set(tally.unsent.get() + bytes);
        Self { tally: tally.clone(), bytes, _hold: Hold::of(&tally.purse, bytes) }
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        self.tally.unsent.set(self.tally.unsent.get() - self.bytes);
    }
}

/// Bytes on their way to the peer, which count for as long as they wait to be taken.
pub struct Parcel {
    bytes: Bytes,
    _unsent: Option<Unsent>,
}

impl Parcel {
    pub fn new(tally: &Rc<Tally>, bytes: Bytes) -> Self {
        let unsent = (!bytes.is_empty()).then(|| Unsent::new(tally, bytes.len()));
        Self { bytes, _unsent: unsent }
    }
}

impl Buf for Parcel {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}
