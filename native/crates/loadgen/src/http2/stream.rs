//! One stream: what is still to be sent on it, and what has come.

use super::assembly::Assembly;
use crate::{hpack::Fields, message::Small};
use bytes::Bytes;

#[derive(Default)]
pub struct Stream {
    /// The request under way; none on a stream that waits for its next one.
    pub ticket: Option<usize>,
    /// Requests of the same route share streams, one after the other.
    pub route: usize,
    /// What the peer lets this stream send.
    pub window: i64,
    /// What was not sent for want of window.
    pub rest: Option<Rest>,
    /// It is among those that wait for the connection's window.
    pub queued: bool,
    /// This side has said that it sends no more.
    pub ended: bool,
    pub assembly: Assembly,
    /// Bytes that came since the peer was told that there is room again.
    pub taken: u32,
    pub collect: bool,
    pub message: Bytes,
    pub fields: Fields,
}

/// A message that is not yet sent: what this request alone has, and the shared body behind it.
pub struct Rest {
    pub head: Small,
    pub body: Bytes,
}

impl Rest {
    pub fn len(&self) -> usize {
        self.head.len() + self.body.len()
    }
}
