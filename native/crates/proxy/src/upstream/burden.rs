//! What an upstream's frames cost: h2 bounds the memory of each, here is what bounds the work. Pure.
//!
//! Answers have headers, windows are opened as data is sent, and of everything else there is little. Who sends more of that
//! keeps a network thread from all others.

use infermesh_transport::peer::frames::{DATA, Walker};
use std::time::Duration;
use tokio::time::Instant;

const PERIOD: Duration = Duration::from_secs(1);

/// Frames without content in a period, whatever was sent.
const FREE: u64 = 10_000;

/// And one more for so many bytes: the shortest request has several times as many.
const BYTES: u64 = 8;

#[derive(Debug)]
pub struct Burden {
    since: Instant,
    frames: u64,
    /// Bytes that were sent to it.
    sent: u64,
    walker: Walker,
}

impl Burden {
    pub fn new(now: Instant) -> Self {
        Self { since: now, frames: 0, sent: 0, walker: Walker::after(0) }
    }

    pub fn sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    /// Whether it becomes too much with these bytes.
    pub fn is_too_much(&mut self, received: &[u8], now: Instant) -> bool {
        if now >= self.since + PERIOD {
            (self.since, self.frames, self.sent) = (now, 0, 0);
        }
        let frames = &mut self.frames;
        self.walker.walk(received, |frame| *frames += u64::from(frame.kind != DATA || frame.length == 0));
        self.frames > FREE + self.sent / BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use infermesh_transport::peer::frames::{HEADERS, RST_STREAM, WINDOW_UPDATE};

    fn frame(kind: u8, length: u8) -> Vec<u8> {
        [&[0, 0, length, kind, 0, 0, 0, 0, 1][..], &vec![0; length.into()]].concat()
    }

    /// How many frames of a kind are let through at once.
    fn let_through(kind: u8, length: u8) -> Option<u64> {
        let now = Instant::now();
        let mut burden = Burden::new(now);
        (0..20_000).find(|_| burden.is_too_much(&frame(kind, length), now))
    }

    #[test]
    fn frames_without_content_are_bounded_and_content_is_not() {
        for kind in [HEADERS, RST_STREAM, WINDOW_UPDATE, 4, 6, 200] {
            assert_eq!(let_through(kind, 8), Some(FREE), "{kind}");
        }
        assert_eq!(let_through(DATA, 0), Some(FREE));
        assert_eq!(let_through(DATA, 1), None);
    }

    #[test]
    fn what_is_asked_for_may_be_answered() {
        let now = Instant::now();
        let mut burden = Burden::new(now);
        for _ in 0..100_000 {
            // Two header blocks and two windows, for a request of a few bytes.
            burden.sent(32);
            for kind in [WINDOW_UPDATE, WINDOW_UPDATE, HEADERS, DATA, HEADERS] {
                assert!(!burden.is_too_much(&frame(kind, 8), now));
            }
        }
    }

    #[test]
    fn each_second_begins_anew() {
        let mut now = Instant::now();
        let mut burden = Burden::new(now);
        for _ in 0..10 {
            now += PERIOD;
            for _ in 0..FREE {
                assert!(!burden.is_too_much(&frame(RST_STREAM, 4), now));
            }
        }
        assert!(burden.is_too_much(&frame(RST_STREAM, 4), now));
    }
}
