//! What a peer's frames cost: counts them by kind and says when it is too much.
//!
//! h2 bounds the memory of each of these; here is what bounds the work. Counts begin anew after a second, and the
//! time of a frame is that of the read it came with, so that a frame costs an addition.

use super::{
    frames::{
        ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, Header, PING, PRIORITY, RST_STREAM,
        WINDOW_UPDATE,
    },
    rules::Rules,
};
use std::time::Duration;
use tokio::time::Instant;

const PERIOD: Duration = Duration::from_secs(1);

/// CVE-2023-44487: so many requests in a period, and more than half of them reset.
const REQUESTS: u32 = 500;

/// Frames in a period that carry nothing: SETTINGS, PING, and kinds that are unknown.
const CONTROLS: u32 = 1_000;

/// Empty DATA and CONTINUATION frames in a period.
const EMPTIES: u32 = 100;

/// PRIORITY frames in a period for each request in it.
const PRIORITIES: u32 = 100;

/// WINDOW_UPDATE frames in a period that nothing asked for.
const UPDATES: u32 = 1_000;

/// Without requests under way pings may come this often, unless they are permitted.
const IDLE_PING_INTERVAL: Duration = Duration::from_secs(7200);

#[derive(Debug)]
pub struct Meter {
    since: Instant,
    counts: Counts,
    allowed: Allowed,
    last_ping: Option<Instant>,
    strikes: u32,
    /// Since when a header block is unfinished.
    pub block: Option<Instant>,
    pub last_stream: u32,
}

#[derive(Debug, Default)]
struct Counts {
    requests: u32,
    resets: u32,
    controls: u32,
    empties: u32,
    priorities: u32,
    updates: u32,
    sent: u32,
}

/// What pings are measured by.
#[derive(Debug)]
struct Allowed {
    interval: Duration,
    without_calls: bool,
    strikes: u32,
}

impl Meter {
    pub fn new(now: Instant, rules: &Rules) -> Self {
        Self {
            since: now,
            counts: Counts::default(),
            allowed: Allowed {
                interval: rules.min_ping_interval,
                without_calls: rules.keepalive_permit_without_calls,
                strikes: rules.max_ping_strikes,
            },
            last_ping: None,
            strikes: 0,
            block: None,
            last_stream: 0,
        }
    }

    /// A read begins.
    pub fn at(&mut self, now: Instant) {
        if now >= self.since + PERIOD {
            self.since = now;
            self.counts = Counts::default();
        }
    }

    /// Headers or data were sent to the peer.
    pub fn sent(&mut self) {
        self.counts.sent = self.counts.sent.saturating_add(1);
        self.last_ping = None;
        self.strikes = 0;
    }

    /// What is too much, if this frame is. `idle`: no request is under way.
    pub fn received(&mut self, frame: Header, now: Instant, idle: bool) -> Option<&'static str> {
        let counts = &mut self.counts;
        match frame.kind {
            DATA if frame.length > 0 || frame.has(END_STREAM) => return None,
            HEADERS => {
                counts.requests += 1;
                self.last_stream = self.last_stream.max(frame.stream);
                self.block = (!frame.has(END_HEADERS)).then_some(now);
                return None;
            }
            CONTINUATION if frame.has(END_HEADERS) => {
                self.block = None;
                return None;
            }
            DATA | CONTINUATION => counts.empties += u32::from(frame.length == 0),
            RST_STREAM => counts.resets += 1,
            PRIORITY => counts.priorities += 1,
            WINDOW_UPDATE => counts.updates += 1,
            kind => {
                counts.controls += 1;
                if kind == PING && !frame.has(ACK) && self.is_one_too_many(now, idle) {
                    // The words by which gRPC's clients know that they have to ping less.
                    return Some("too_many_pings");
                }
            }
        }
        self.counts.too_much()
    }

    fn is_one_too_many(&mut self, now: Instant, idle: bool) -> bool {
        let interval = match idle && !self.allowed.without_calls {
            true => IDLE_PING_INTERVAL,
            false => self.allowed.interval,
        };
        match self.last_ping {
            Some(last) if now < last + interval => {
                self.strikes += 1;
                self.allowed.strikes > 0 && self.strikes > self.allowed.strikes
            }
            _ => {
                self.last_ping = Some(now);
                false
            }
        }
    }
}

impl Counts {
    fn too_much(&self) -> Option<&'static str> {
        let rules = [
            (self.requests >= REQUESTS && self.resets > self.requests / 2, "too_many_resets"),
            (self.controls > CONTROLS, "too_many_control_frames"),
            (self.empties > EMPTIES, "too_many_empty_frames"),
            (self.priorities > PRIORITIES * (1 + self.requests), "too_many_priority_frames"),
            (
                self.updates > UPDATES.max(2 * (self.requests + self.sent.saturating_mul(10))),
                "too_many_window_updates",
            ),
        ];
        rules.iter().find(|(broken, _)| *broken).map(|(_, name)| *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: u8 = 4;

    struct Peer {
        meter: Meter,
        now: Instant,
    }

    impl Peer {
        fn new(rules: &Rules) -> Self {
            let now = Instant::now();
            Self { meter: Meter::new(now, rules), now }
        }

        fn wait(&mut self, time: Duration) {
            self.now += time;
            self.meter.at(self.now);
        }

        fn send(&mut self, kind: u8, flags: u8, length: usize) -> Option<&'static str> {
            self.meter.received(Header { length, kind, flags, stream: 1 }, self.now, false)
        }

        /// How many frames are let through within a second, and what is said to the next.
        fn flood(&mut self, kind: u8, flags: u8, length: usize) -> (u32, &'static str) {
            (0..100_000).find_map(|count| Some((count, self.send(kind, flags, length)?))).unwrap()
        }
    }

    #[test]
    fn resets_are_too_many_when_most_requests_of_a_second_are() {
        let mut peer = Peer::new(&Rules::default());
        let said = (0..1_000).find_map(|count| {
            assert_eq!(peer.send(HEADERS, END_HEADERS, 10), None);
            Some((count + 1, peer.send(RST_STREAM, 0, 4)?))
        });
        assert_eq!(said, Some((500, "too_many_resets")));
    }

    #[test]
    fn a_client_may_give_up_less_than_half_of_its_requests() {
        let mut peer = Peer::new(&Rules::default());
        for count in 0..10_000 {
            assert_eq!(peer.send(HEADERS, END_HEADERS, 10), None);
            if count % 2 == 1 {
                assert_eq!(peer.send(RST_STREAM, 0, 4), None);
            }
        }
    }

    #[test]
    fn a_client_may_give_up_everything_slowly() {
        let mut peer = Peer::new(&Rules::default());
        for _ in 0..10_000 {
            peer.wait(Duration::from_millis(3));
            assert_eq!(peer.send(HEADERS, END_HEADERS, 10), None);
            assert_eq!(peer.send(RST_STREAM, 0, 4), None);
        }
    }

    #[test]
    fn frames_that_carry_nothing_are_bounded() {
        for (kind, flags, length, expected) in [
            (SETTINGS, 0, 6, (1_000, "too_many_control_frames")),
            (PING, ACK, 8, (1_000, "too_many_control_frames")),
            (200, 0, 3, (1_000, "too_many_control_frames")),
            (DATA, 0, 0, (100, "too_many_empty_frames")),
            (CONTINUATION, 0, 0, (100, "too_many_empty_frames")),
            (PRIORITY, 0, 5, (100, "too_many_priority_frames")),
            (WINDOW_UPDATE, 0, 4, (1_000, "too_many_window_updates")),
        ] {
            let mut peer = Peer::new(&Rules::default());
            assert_eq!(peer.flood(kind, flags, length), expected);
        }
    }

    #[test]
    fn windows_may_be_opened_as_often_as_data_is_sent() {
        let mut peer = Peer::new(&Rules::default());
        for _ in 0..100_000 {
            peer.meter.sent();
            assert_eq!(peer.send(WINDOW_UPDATE, 0, 4), None);
            assert_eq!(peer.send(DATA, 0, 1), None);
        }
    }

    #[test]
    fn pings_that_come_too_soon_are_forgiven_twice() {
        let mut peer = Peer::new(&Rules::default());
        for _ in 0..10 {
            assert_eq!(peer.send(PING, 0, 8), None);
            peer.wait(Duration::from_secs(300));
        }
        assert_eq!(peer.flood(PING, 0, 8), (3, "too_many_pings"));
    }

    #[test]
    fn what_is_sent_to_the_peer_pays_for_its_pings() {
        let mut peer = Peer::new(&Rules::default());
        for _ in 0..100 {
            peer.wait(Duration::from_secs(1));
            assert_eq!(peer.send(PING, 0, 8), None);
            peer.meter.sent();
        }
    }

    #[test]
    fn without_requests_pings_are_rare_unless_they_are_permitted() {
        for (permitted, expected) in [(false, Some("too_many_pings")), (true, None)] {
            let rules = Rules { keepalive_permit_without_calls: permitted, ..Rules::default() };
            let mut peer = Peer::new(&rules);
            let frame = Header { length: 8, kind: PING, flags: 0, stream: 0 };
            let said = (0..20).find_map(|_| {
                peer.wait(Duration::from_secs(300));
                peer.meter.received(frame, peer.now, true)
            });
            assert_eq!(said, expected);
        }
    }

    #[test]
    fn any_number_of_strikes_may_be_allowed() {
        let mut peer = Peer::new(&Rules { max_ping_strikes: 0, ..Rules::default() });
        assert_eq!(peer.flood(PING, 0, 8).1, "too_many_control_frames");
    }
}
