//! One stream: what is still to be sent on it, and what has come.

use super::assembly::Assembly;
use crate::{hpack::Fields, message::Small};
use bytes::Bytes;

pub struct Stream {
    /// The request under way; none on a stream that waits for its next one.
    pub ticket: Option<usize>,
    pub kind: usize,
    /// What the peer lets this stream send.
    pub window: i64,
    /// What was not sent for want of window.
    pub rest: Option<Rest>,
    pub assembly: Assembly,
    /// Bytes that came since the peer was told that there is room again.
    pub taken: u32,
    pub received: u64,
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
