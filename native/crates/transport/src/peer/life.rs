//! When a connection is asked to leave, asked whether it lives, or cut off. Pure: it gets the time as an argument.

use super::rules::Rules;
use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};
use tokio::time::Instant;

/// A client answers the end of its connection within this time, or has requests under way.
pub const FAREWELL: Duration = Duration::from_secs(1);

/// A header block that was begun is whole within this time.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection is looked at this often, or more often where something is due.
const PERIOD: Duration = Duration::from_secs(10);

/// What is known of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    pub last_read: Instant,
    pub last_written: Instant,
    /// Whether requests are under way.
    pub has_streams: bool,
    /// Whether answers wait for the peer to take them.
    pub has_unsent: bool,
    /// Since when a header block is unfinished.
    pub block: Option<Instant>,
    /// Headers and data frames sent so far.
    pub sent: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Order {
    /// Look again then, at the latest.
    Wait(Instant),
    /// Say goodbye and let what is under way end.
    Retire,
    Ping,
    Close(&'static str),
}

#[derive(Debug)]
pub struct Life {
    rules: Rules,
    retires: Option<Instant>,
    ends: Option<Instant>,
    /// Since when no request is under way; `None` while there is one, or after it was asked to leave.
    idle_since: Option<Instant>,
    asked_to_leave: bool,
    pinged: Option<Instant>,
    /// Pings since the last headers or data, and how much had been sent at the first.
    pings: (u32, u64),
    /// Not to be asked again before.
    quiet_until: Instant,
}

impl Life {
    pub fn new(now: Instant, rules: Rules) -> Self {
        let retires = rules.max_age.and_then(|age| now.checked_add(jittered(age)));
        let (ends, idle_since, asked_to_leave) = (None, Some(now), false);
        Self {
            rules,
            retires,
            ends,
            idle_since,
            asked_to_leave,
            pinged: None,
            pings: (0, 0),
            quiet_until: now,
        }
    }

    pub fn next(&mut self, now: Instant, facts: Facts) -> Order {
        if self.ends.is_some_and(|at| now >= at) {
            return Order::Close("its requests outlasted the grace after its maximum age");
        }
        if facts.has_unsent && now >= facts.last_written + self.rules.write_timeout {
            return Order::Close("it takes nothing of its answers");
        }
        if facts.block.is_some_and(|since| now >= since + HEADER_TIMEOUT) {
            return Order::Close("it does not finish its headers");
        }
        if self.retires.is_some_and(|at| now >= at) {
            self.retires = None;
            self.ends = self.rules.max_age_grace.and_then(|grace| now.checked_add(grace));
            return Order::Retire;
        }
        self.idle_since = if facts.has_streams { None } else { self.idle_since.or(Some(now)) };
        if !self.asked_to_leave && self.idles().is_some_and(|at| now >= at) {
            self.asked_to_leave = true;
            return Order::Retire;
        }
        if self.pinged.is_some_and(|pinged| facts.last_read > pinged) {
            self.pinged = None;
        }
        match self.pinged {
            Some(pinged) if now >= pinged + self.rules.keepalive_timeout => {
                return Order::Close("it does not answer a ping");
            }
            None if now >= self.asks(facts) => {
                if self.may_ask(facts) {
                    self.pinged = Some(now);
                    self.pings.0 += 1;
                    return Order::Ping;
                }
                self.quiet_until = now + self.rules.keepalive_time;
            }
            _ => {}
        }
        Order::Wait(self.due(now, facts))
    }

    /// When a peer that stays quiet is to be asked whether it lives.
    fn asks(&self, facts: Facts) -> Instant {
        (facts.last_read + self.rules.keepalive_time).max(self.quiet_until)
    }

    /// When it has had nothing to do for long enough.
    fn idles(&self) -> Option<Instant> {
        if self.asked_to_leave { None } else { Some(self.idle_since? + self.rules.max_idle?) }
    }

    fn may_ask(&mut self, facts: Facts) -> bool {
        if self.pings.1 != facts.sent {
            self.pings = (0, facts.sent);
        }
        let most = self.rules.max_pings_without_data;
        (facts.has_streams || self.rules.keepalive_permit_without_calls) && (most == 0 || self.pings.0 < most)
    }

    fn due(&self, now: Instant, facts: Facts) -> Instant {
        let alive = match self.pinged {
            Some(pinged) => pinged + self.rules.keepalive_timeout,
            None => self.asks(facts),
        };
        let written = facts.has_unsent.then(|| facts.last_written + self.rules.write_timeout);
        let block = facts.block.map(|since| since + HEADER_TIMEOUT);
        [Some(alive), written, block, self.retires, self.ends, self.idles()]
            .into_iter()
            .flatten()
            .fold(now + PERIOD.min(self.rules.write_timeout), Instant::min)
    }
}

/// Give or take a tenth, so that connections made together do not leave together.
pub fn jittered(age: Duration) -> Duration {
    let chance = RandomState::new().build_hasher().finish() as f64 / u64::MAX as f64;
    age.mul_f64(0.9 + 0.2 * chance)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn facts(now: Instant) -> Facts {
        Facts {
            last_read: now,
            last_written: now,
            has_streams: true,
            has_unsent: false,
            block: None,
            sent: 0,
        }
    }

    /// What is ordered, other than to wait, and after how many seconds, in the next `seconds`.
    fn orders(rules: Rules, seconds: u32, know: impl Fn(Instant, Instant) -> Facts) -> Vec<(u64, Order)> {
        let start = Instant::now();
        let (mut now, mut life, mut orders) = (start, Life::new(start, rules), Vec::new());
        while now <= start + SECOND * seconds {
            match life.next(now, know(start, now)) {
                Order::Wait(until) => {
                    assert!(until > now);
                    now = until;
                }
                order => {
                    let ends = matches!(order, Order::Close(_));
                    orders.push(((now - start).as_secs(), order));
                    if ends {
                        break;
                    }
                }
            }
        }
        orders
    }

    #[test]
    fn a_connection_retires_at_its_age_and_is_cut_off_after_the_grace() {
        let rules =
            Rules { max_age: Some(100 * SECOND), max_age_grace: Some(50 * SECOND), ..Rules::default() };
        let [(retired, Order::Retire), (closed, Order::Close(_))] =
            orders(rules, 500, |_, now| facts(now))[..]
        else {
            panic!("retires, then closes")
        };
        assert!((90..=110).contains(&retired), "{retired}");
        assert!((49..=51).contains(&(closed - retired)));
    }

    #[test]
    fn without_a_grace_requests_may_take_as_long_as_they_do() {
        let rules = Rules { max_age: Some(100 * SECOND), ..Rules::default() };
        assert!(matches!(orders(rules, 100_000, |_, now| facts(now))[..], [(_, Order::Retire)]));
    }

    #[test]
    fn a_connection_that_has_nothing_to_do_leaves() {
        let rules = Rules { max_idle: Some(40 * SECOND), ..Rules::default() };
        let busy =
            |seconds| move |start, now| Facts { has_streams: now < start + SECOND * seconds, ..facts(now) };
        let [(retired, Order::Retire)] = orders(rules.clone(), 500, busy(0))[..] else {
            panic!("it leaves once")
        };
        assert!((40..=50).contains(&retired), "{retired}");
        let [(retired, Order::Retire)] = orders(rules, 500, busy(100))[..] else { panic!("it leaves once") };
        assert!((140..=160).contains(&retired), "{retired}");
    }

    #[test]
    fn a_quiet_peer_is_asked_and_then_given_up() {
        let rules = Rules { keepalive_time: 30 * SECOND, keepalive_timeout: 5 * SECOND, ..Rules::default() };
        let said = orders(rules, 500, |start, _| facts(start));
        assert_eq!(said, [(30, Order::Ping), (35, Order::Close("it does not answer a ping"))]);
    }

    #[test]
    fn a_peer_that_answers_is_asked_again_but_not_for_ever_without_data() {
        let rules = Rules { keepalive_time: 30 * SECOND, ..Rules::default() };
        // It answers a second after each ping.
        let answering = |start: Instant, now: Instant| {
            let last = (1..100).map(|turn| start + SECOND * 31 * turn).take_while(|at| *at <= now).last();
            Facts { last_read: last.unwrap_or(start), ..facts(start) }
        };
        let pings = orders(rules.clone(), 1_000, answering);
        assert_eq!(pings, [(30, Order::Ping), (61, Order::Ping)]);
        let unbounded = Rules { max_pings_without_data: 0, ..rules };
        assert!(orders(unbounded, 1_000, answering).len() > 20);
    }

    #[test]
    fn an_idle_peer_is_asked_only_where_that_is_permitted() {
        let idle = |start, _| Facts { has_streams: false, ..facts(start) };
        let rules = Rules { keepalive_time: 30 * SECOND, ..Rules::default() };
        assert_eq!(orders(rules.clone(), 1_000, idle), []);
        let permitted = Rules { keepalive_permit_without_calls: true, ..rules };
        assert_eq!(orders(permitted, 1_000, idle).len(), 2);
    }

    #[test]
    fn answers_that_nobody_takes_and_headers_that_never_end_close_it() {
        let stuck = |start, now| Facts { last_written: start, has_unsent: true, ..facts(now) };
        assert_eq!(
            orders(Rules::default(), 500, stuck),
            [(60, Order::Close("it takes nothing of its answers"))]
        );
        let slow = |start, now| Facts { block: Some(start), ..facts(now) };
        assert_eq!(
            orders(Rules::default(), 500, slow),
            [(10, Order::Close("it does not finish its headers"))]
        );
    }
}
