//! Leaves an endpoint alone after failures, and finds out with single requests whether it is back.
//!
//! As Linkerd's failure accrual: it opens on failures in a row or on a low share of successes, stays open for
//! an exponential backoff, then admits exactly one request as a probe. What was admitted before it opened has
//! no say in it.

use crate::{
    chance::Chance,
    outcome::{Class, Life, Outcome},
    settings::{self, Checked},
    window::Window,
};
use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// It opens after so many failures in a row.
    pub consecutive_failures: u32,
    /// It opens below this share of successes within the window.
    pub min_success_rate: f64,
    /// With at least so many requests in the window.
    pub min_requests: u32,
    pub window: Duration,
    /// Time until the first probe; doubled by each that fails.
    pub backoff_base: Duration,
    /// The longest of these times.
    pub backoff_max: Duration,
    /// How much longer it may be, as a share, so that callers do not probe together.
    pub jitter: f64,
    /// A probe that takes longer than this no longer holds up the next one.
    pub probe_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            consecutive_failures: 7,
            min_success_rate: 0.8,
            min_requests: 5,
            window: Duration::from_secs(10),
            backoff_base: Duration::from_secs(1),
            backoff_max: Duration::from_secs(60),
            jitter: 0.5,
            probe_timeout: Duration::from_secs(10),
        }
    }
}

impl Settings {
    pub fn check(&self) -> Checked {
        settings::at_least_one("consecutive_failures", self.consecutive_failures)?;
        settings::share("min_success_rate", self.min_success_rate)?;
        settings::at_least_one("min_requests", self.min_requests)?;
        settings::above_zero("window", self.window)?;
        settings::above_zero("backoff_base", self.backoff_base)?;
        settings::ordered(("backoff_base", self.backoff_base), ("backoff_max", self.backoff_max))?;
        settings::share("jitter", self.jitter)?;
        settings::above_zero("probe_timeout", self.probe_timeout)
    }

    /// After so many probes that failed.
    fn backoff(&self, failed: u32, chance: &mut Chance) -> Duration {
        let backoff = self.backoff_base.saturating_mul(1 << failed.min(20)).min(self.backoff_max);
        chance.between(backoff, backoff.mul_f64(1.0 + self.jitter)).min(self.backoff_max)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Closed,
    /// Nothing is admitted until then.
    Open {
        until: Instant,
    },
    /// One request at a time.
    HalfOpen,
}

impl State {
    /// In metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// The right to send one request; given back with its outcome. If it is dropped instead, its request says
/// nothing.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    /// Under which turn of the breaker it was given.
    turn: u64,
    /// Held by a probe: its end is known even if nobody tells it.
    _probe: Option<Arc<()>>,
}

#[derive(Debug)]
pub struct Breaker {
    settings: Settings,
    state: State,
    /// Counts how often it opened.
    turn: u64,
    in_a_row: u32,
    failures: Window<u32>,
    requests: Window<u32>,
    /// Probes that failed since it opened.
    failed_probes: u32,
    /// The probe under way, and since when.
    probe: (Weak<()>, Instant),
}

impl Breaker {
    pub fn new(now: Instant, settings: Settings) -> Self {
        Self {
            state: State::Closed,
            turn: 0,
            in_a_row: 0,
            failures: Window::new(now, settings.window),
            requests: Window::new(now, settings.window),
            failed_probes: 0,
            probe: (Weak::new(), now),
            settings,
        }
    }

    pub fn state(&self) -> State {
        self.state
    }

    /// How often it has opened so far.
    pub fn opened(&self) -> u64 {
        self.turn
    }

    /// Whether a request would be admitted: to be asked before an endpoint is chosen.
    pub fn is_available(&self, now: Instant) -> bool {
        match self.state {
            State::Closed => true,
            State::Open { until } => now >= until,
            State::HalfOpen => {
                let (probe, since) = &self.probe;
                probe.strong_count() == 0 || now >= *since + self.settings.probe_timeout
            }
        }
    }

    /// Admits a request, or does not.
    pub fn admit(&mut self, now: Instant) -> Option<Permit> {
        if !self.is_available(now) {
            return None;
        }
        let probe = (self.state != State::Closed).then(|| {
            self.state = State::HalfOpen;
            let probe = Arc::new(());
            self.probe = (Arc::downgrade(&probe), now);
            probe
        });
        Some(Permit { turn: self.turn, _probe: probe })
    }

    /// A request that was admitted has ended. Says so if that changed the state.
    pub fn record(
        &mut self,
        now: Instant,
        permit: Permit,
        outcome: Outcome,
        chance: &mut Chance,
    ) -> Option<State> {
        if permit.turn != self.turn {
            return None;
        }
        match self.state {
            State::Closed => self.count(now, outcome.class) && self.open(now, chance),
            State::HalfOpen => self.judge(now, outcome, chance),
            State::Open { .. } => false,
        }
        .then_some(self.state)
    }

    /// Whether these were too many failures.
    fn count(&mut self, now: Instant, class: Class) -> bool {
        match class {
            Class::Success => self.in_a_row = 0,
            Class::Failure => {
                self.in_a_row += 1;
                self.failures.add(now, 1);
            }
            Class::Overload | Class::Ignored => return false,
        }
        self.requests.add(now, 1);
        let (failures, requests) = (self.failures.sum(now), self.requests.sum(now));
        let rate = 1.0 - f64::from(failures) / f64::from(requests);
        self.in_a_row >= self.settings.consecutive_failures
            || (requests >= self.settings.min_requests && rate < self.settings.min_success_rate)
    }

    /// A probe has ended. Any answer but a failure shows that the endpoint is back; silence shows that it is
    /// not, also if the caller had little time; and a caller that left shows nothing: the next request is the
    /// next probe.
    fn judge(&mut self, now: Instant, outcome: Outcome, chance: &mut Chance) -> bool {
        match (outcome.class, outcome.life) {
            (Class::Failure, _) | (_, Life::Silence) => {
                self.failed_probes += 1;
                self.open(now, chance)
            }
            (_, Life::Sign) => {
                self.failed_probes = 0;
                self.state = State::Closed;
                true
            }
            (_, Life::Unknown) => false,
        }
    }

    fn open(&mut self, now: Instant, chance: &mut Chance) -> bool {
        self.state = State::Open { until: now + self.settings.backoff(self.failed_probes, chance) };
        self.turn += 1;
        self.in_a_row = 0;
        self.failures.clear();
        self.requests.clear();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Bound, Event};
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);
    const OK: Event = Event::Grpc(0);
    const FAILED: Event = Event::Grpc(14);

    struct Endpoint {
        breaker: Breaker,
        chance: Chance,
        now: Instant,
    }

    impl Endpoint {
        fn new(settings: Settings) -> Self {
            let now = Instant::now();
            Self { breaker: Breaker::new(now, settings), chance: Chance::seeded(5), now }
        }

        fn admit(&mut self) -> Option<Permit> {
            let available = self.breaker.is_available(self.now);
            let permit = self.breaker.admit(self.now);
            assert_eq!(permit.is_some(), available);
            permit
        }

        fn record(&mut self, permit: Permit, event: Event) -> Option<State> {
            self.breaker.record(self.now, permit, event.into(), &mut self.chance)
        }

        /// One request after another with these ends; how many were sent.
        fn send(&mut self, events: impl IntoIterator<Item = Event>) -> usize {
            events
                .into_iter()
                .map_while(|event| {
                    let permit = self.admit()?;
                    self.record(permit, event);
                    Some(())
                })
                .count()
        }

        /// Waits until the next probe may be sent; how long that was.
        fn wait(&mut self) -> Duration {
            let State::Open { until } = self.breaker.state() else { panic!("is not open") };
            let wait = until - self.now;
            self.now = until;
            wait
        }

        fn opened() -> Self {
            let mut endpoint = Self::new(Settings::default());
            endpoint.send([FAILED; 7]);
            endpoint
        }

        fn half_open() -> Self {
            let mut endpoint = Self::opened();
            endpoint.wait();
            endpoint
        }
    }

    #[test]
    fn it_opens_after_failures_in_a_row() {
        let mut endpoint = Endpoint::new(Settings { min_success_rate: 0.0, ..Settings::default() });
        endpoint.send([FAILED; 6]);
        endpoint.send([OK]);
        assert_eq!(endpoint.send([FAILED; 20]), 7);
        assert!(matches!(endpoint.breaker.state(), State::Open { until } if until > endpoint.now));
        assert_eq!(endpoint.breaker.opened(), 1);
    }

    #[test]
    fn it_opens_on_a_low_share_of_successes() {
        let mut endpoint = Endpoint::new(Settings::default());
        // 80 % is enough.
        endpoint.send([OK, OK, OK, OK, FAILED].into_iter().cycle().take(100));
        assert_eq!(endpoint.breaker.state(), State::Closed);
        assert_eq!(endpoint.send([FAILED; 7]), 1);
    }

    #[test]
    fn a_few_requests_are_no_share() {
        let mut endpoint = Endpoint::new(Settings::default());
        assert_eq!(endpoint.send([FAILED, FAILED, FAILED, FAILED]), 4);
        assert_eq!(endpoint.breaker.state(), State::Closed);
        // Ten seconds later they are forgotten, in this respect.
        endpoint.now += 10 * SECOND;
        assert_eq!(endpoint.send([OK, OK, OK, OK, FAILED]), 5);
        assert_eq!(endpoint.breaker.state(), State::Closed);
    }

    #[test]
    fn overloads_and_the_faults_of_callers_do_not_open_it() {
        let mut endpoint = Endpoint::new(Settings::default());
        let harmless = [Event::Grpc(8), Event::Grpc(3), Event::GivenUp, Event::TimedOut(Bound::Request)];
        assert_eq!(endpoint.send(harmless.into_iter().cycle().take(100)), 100);
        assert_eq!(endpoint.breaker.state(), State::Closed);
    }

    #[test]
    fn while_it_is_open_nothing_is_admitted() {
        let mut endpoint = Endpoint::opened();
        assert!(endpoint.admit().is_none());
        endpoint.now += Duration::from_millis(999);
        assert!(endpoint.admit().is_none() && !endpoint.breaker.is_available(endpoint.now));
        endpoint.wait();
        assert!(endpoint.breaker.is_available(endpoint.now) && endpoint.admit().is_some());
    }

    #[test]
    fn exactly_one_probe_is_admitted_and_its_success_closes_it() {
        let mut endpoint = Endpoint::half_open();
        let probe = endpoint.admit().unwrap();
        assert_eq!(endpoint.breaker.state(), State::HalfOpen);
        assert!(endpoint.admit().is_none());
        assert_eq!(endpoint.record(probe, OK), Some(State::Closed));
        assert_eq!(endpoint.send([OK; 100]), 100);
    }

    #[test]
    fn each_probe_that_fails_doubles_the_wait_up_to_a_minute() {
        let mut endpoint = Endpoint::opened();
        for seconds in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0_f64] {
            let wait = endpoint.wait().as_secs_f64();
            assert!((seconds..=(1.5 * seconds).min(60.0)).contains(&wait), "{wait} s after {seconds} s");
            assert_eq!(endpoint.send([FAILED]), 1);
        }
        // Once it is back, it begins anew.
        endpoint.wait();
        endpoint.send([OK]);
        endpoint.send([FAILED; 7]);
        assert!(endpoint.wait() <= Duration::from_millis(1_500));
    }

    #[test]
    fn callers_do_not_probe_together() {
        let mut endpoints: Vec<Endpoint> = (0..20).map(|_| Endpoint::new(Settings::default())).collect();
        let mut chance = Chance::seeded(1);
        let waits: std::collections::BTreeSet<Duration> = endpoints
            .iter_mut()
            .map(|endpoint| {
                endpoint.chance = chance.clone();
                chance.unit();
                endpoint.send([FAILED; 7]);
                endpoint.wait()
            })
            .collect();
        assert_eq!(waits.len(), 20);
        assert!(*waits.last().unwrap() - *waits.first().unwrap() > Duration::from_millis(300));
    }

    #[test]
    fn a_probe_whose_caller_vanished_makes_room_for_the_next() {
        let mut endpoint = Endpoint::half_open();
        drop(endpoint.admit());
        assert!(endpoint.breaker.is_available(endpoint.now));
        let probe = endpoint.admit().unwrap();
        assert_eq!(endpoint.record(probe, Event::GivenUp), None);
        let probe = endpoint.admit().unwrap();
        assert_eq!(endpoint.record(probe, OK), Some(State::Closed));
    }

    #[test]
    fn a_probe_that_takes_for_ever_does_not_hold_up_the_next() {
        let mut endpoint = Endpoint::half_open();
        let stuck = endpoint.admit().unwrap();
        endpoint.now += Duration::from_secs(9);
        assert!(endpoint.admit().is_none());
        endpoint.now += SECOND;
        let next = endpoint.admit().unwrap();
        assert!(endpoint.admit().is_none());
        assert_eq!(endpoint.record(next, OK), Some(State::Closed));
        assert_eq!(endpoint.record(stuck, FAILED), None);
        assert_eq!(endpoint.breaker.state(), State::Closed);
    }

    #[test]
    fn any_answer_shows_that_an_endpoint_is_back_and_silence_that_it_is_not() {
        for (event, closes) in [
            (Event::Grpc(5), true),
            (Event::Grpc(8), true),
            (Event::Http(404), true),
            (Event::Grpc(13), false),
            (Event::ConnectFailed, false),
            (Event::TimedOut(Bound::Request), false),
        ] {
            let mut endpoint = Endpoint::half_open();
            endpoint.send([event]);
            assert_eq!(endpoint.breaker.state() == State::Closed, closes, "{event:?}");
        }
    }

    #[test]
    fn what_was_admitted_before_it_opened_has_no_say() {
        let mut endpoint = Endpoint::new(Settings::default());
        let old: Vec<Permit> = (0..20).map(|_| endpoint.admit().unwrap()).collect();
        endpoint.send([FAILED; 7]);
        let mut old = old.into_iter();
        assert_eq!(endpoint.record(old.next().unwrap(), OK), None);
        endpoint.wait();
        let probe = endpoint.admit().unwrap();
        assert_eq!(endpoint.record(old.next().unwrap(), OK), None);
        assert_eq!(endpoint.breaker.state(), State::HalfOpen);
        assert_eq!(endpoint.record(probe, OK), Some(State::Closed));
        for permit in old {
            assert_eq!(endpoint.record(permit, FAILED), None);
        }
    }

    #[test]
    fn settings_that_make_no_sense_are_named() {
        let bad = Settings { min_success_rate: 1.5, ..Settings::default() };
        assert_eq!(bad.check(), Err("min_success_rate is 1.5: expected 0 to 1".into()));
        let bad = Settings { consecutive_failures: 0, ..Settings::default() };
        assert_eq!(bad.check(), Err("consecutive_failures is 0: expected at least 1".into()));
        assert_eq!(Settings::default().check(), Ok(()));
    }

    proptest! {
        /// Whatever happens, an endpoint is available again within the longest backoff or the time of a
        /// probe, and half open it never has two probes that are in time.
        #[test]
        fn it_never_wedges(steps in prop::collection::vec((0u64..20_000, 0u8..6), 1..300), seed: u64) {
            let mut endpoint = Endpoint::new(Settings { consecutive_failures: 2, ..Settings::default() });
            endpoint.chance = Chance::seeded(seed);
            let mut held: Vec<(Instant, Permit)> = Vec::new();
            for (millis, what) in steps {
                endpoint.now += Duration::from_millis(millis);
                match what {
                    0..=2 => if let Some(permit) = endpoint.admit() {
                        if endpoint.breaker.state() == State::HalfOpen {
                            let young = |(at, permit): &&(Instant, Permit)| {
                                permit._probe.is_some() && permit.turn == endpoint.breaker.turn
                                    && endpoint.now - *at < 10 * SECOND
                            };
                            prop_assert_eq!(held.iter().filter(young).count(), 0);
                        }
                        held.push((endpoint.now, permit));
                    },
                    3 => drop((!held.is_empty()).then(|| held.remove(0))),
                    _ if held.is_empty() => {}
                    what => {
                        let (_, permit) = held.remove(0);
                        endpoint.record(permit, if what == 4 { OK } else { FAILED });
                    }
                }
                let most = Settings::default().backoff_max;
                prop_assert!(endpoint.breaker.is_available(endpoint.now + most));
            }
        }
    }
}
