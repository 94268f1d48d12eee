//! Whether a connection lives that requests wait on: it is asked when nothing has been heard for a while. Pure.
//!
//! Servers of gRPC cut off who asks too often: after two that come within five minutes of the one before, counted anew
//! whenever they have sent something (gRFC A8). A request may take longer than these, and must not end for having been asked
//! about.

use std::time::Duration;
use tokio::time::Instant;

/// Asked so often at the pace that is wanted, within one silence.
const QUICK: u32 = 3;

/// And then at this one.
const SLOW: Duration = Duration::from_secs(301);

/// A PING's answer as it lies on the wire.
const PONG: u64 = 17;

/// What has come from a peer.
#[derive(Debug, Clone, Copy)]
pub struct Heard {
    pub last: Instant,
    pub bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Wait,
    Ask,
    GiveUp,
}

#[derive(Debug)]
pub struct Pulse {
    /// Silence until it is asked.
    keepalive: Duration,
    /// Silence after that until it is given up.
    timeout: Duration,
    /// The last question, and what had been heard by then.
    asked: Option<(Instant, u64)>,
    /// Questions in this silence.
    questions: u32,
}

impl Pulse {
    pub fn new(keepalive: Duration, timeout: Duration) -> Self {
        Self { keepalive, timeout, asked: None, questions: 0 }
    }

    /// What is to be done now. `waited_for`: since when somebody has been waiting; `None` if nobody is.
    pub fn next(&mut self, now: Instant, heard: Heard, waited_for: Option<Instant>) -> Order {
        let Some(since) = waited_for else {
            (self.asked, self.questions) = (None, 0);
            return Order::Wait;
        };
        let mut pace = self.keepalive;
        if let Some((asked, bytes)) = self.asked {
            if heard.bytes == bytes {
                return if now >= asked + self.timeout { Order::GiveUp } else { Order::Wait };
            }
            if heard.bytes > bytes + PONG {
                self.questions = 0;
            }
            if self.questions >= QUICK {
                pace = pace.max(SLOW);
            }
        }
        if now < heard.last.max(since) + pace {
            return Order::Wait;
        }
        self.asked = Some((now, heard.bytes));
        self.questions += 1;
        Order::Ask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    struct Peer {
        pulse: Pulse,
        begun: Instant,
        now: Instant,
        heard: Heard,
    }

    impl Peer {
        fn new() -> Self {
            let now = Instant::now();
            let heard = Heard { last: now, bytes: 0 };
            Self { pulse: Pulse::new(10 * SECOND, 5 * SECOND), begun: now, now, heard }
        }

        fn hear(&mut self, bytes: u64) {
            self.heard = Heard { last: self.now, bytes: self.heard.bytes + bytes };
        }

        /// Looks every second; what there was to do, and when.
        fn watch(&mut self, seconds: u64, answers: bool) -> Vec<(u64, Order)> {
            let mut done = Vec::new();
            for _ in 0..seconds {
                self.now += SECOND;
                match self.pulse.next(self.now, self.heard, Some(self.begun)) {
                    Order::Wait => {}
                    order => done.push(((self.now - self.begun).as_secs(), order)),
                }
                if answers && done.last().is_some_and(|(at, _)| self.begun + *at as u32 * SECOND == self.now)
                {
                    self.hear(PONG);
                }
            }
            done
        }
    }

    #[test]
    fn a_silent_peer_is_asked_and_then_given_up() {
        let done = Peer::new().watch(15, false);
        assert_eq!(done, [(10, Order::Ask), (15, Order::GiveUp)]);
    }

    #[test]
    fn one_that_answers_is_not_asked_more_often_than_servers_bear() {
        let done = Peer::new().watch(1_000, true);
        let times: Vec<u64> = done.iter().map(|(at, _)| *at).collect();
        assert_eq!(times, [10, 20, 30, 331, 632, 933]);
    }

    #[test]
    fn what_comes_of_its_own_accord_begins_a_new_silence() {
        let mut peer = Peer::new();
        assert_eq!(peer.watch(30, true).len(), 3);
        peer.hear(100);
        let times: Vec<u64> = peer.watch(40, true).iter().map(|(at, _)| *at).collect();
        assert_eq!(times, [40, 50, 60]);
    }

    #[test]
    fn where_nobody_waits_nobody_is_asked() {
        let mut peer = Peer::new();
        let later = peer.now + 100 * SECOND;
        assert_eq!(peer.pulse.next(later, peer.heard, None), Order::Wait);
        // Whoever begins to wait then has not waited yet.
        assert_eq!(peer.pulse.next(later, peer.heard, Some(later)), Order::Wait);
        assert_eq!(peer.pulse.next(later + 10 * SECOND, peer.heard, Some(later)), Order::Ask);
    }

    #[test]
    fn a_peer_that_is_heard_is_not_asked() {
        let mut peer = Peer::new();
        for _ in 0..10 {
            assert_eq!(peer.watch(9, false), []);
            peer.hear(1);
        }
    }
}
