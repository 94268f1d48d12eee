//! Whether an endpoint is well, from asking it again and again. What is asked, and how, is the engine's
//! business.
//!
//! As Envoy's and Kubernetes' checks: one answer decides what is not known yet; after that some in a row have
//! to say otherwise. An answer that does not come in time is a failure, and comes to nothing when it does
//! come.

use crate::{
    chance::Chance,
    settings::{Checked, at_least_one, time},
};
use std::time::{Duration, Instant};

/// Give or take: endpoints that are known together are not asked together for ever.
const JITTER: f64 = 0.1;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// From the start of one check to that of the next.
    pub interval: Duration,
    /// What one may take.
    pub timeout: Duration,
    /// Failures in a row after which a well endpoint is ill.
    pub unhealthy: u32,
    /// Successes in a row after which an ill endpoint is well.
    pub healthy: u32,
}

impl Default for Settings {
    /// Every 5 s, 1 s for each; ill after 2, well after 1.
    fn default() -> Self {
        Self { interval: Duration::from_secs(5), timeout: Duration::from_secs(1), unhealthy: 2, healthy: 1 }
    }
}

impl Settings {
    /// Fails with the field, what was found and what is expected.
    pub fn check(&self) -> Checked {
        time("interval", self.interval)?;
        time("timeout", self.timeout)?;
        at_least_one("unhealthy", self.unhealthy)?;
        at_least_one("healthy", self.healthy)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No check has ended yet.
    Unknown,
    Well,
    Ill,
}

/// A check that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    number: u64,
    /// It counts as failed then.
    pub deadline: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Begin(Check),
    /// Look again then, or when the check under way has ended.
    Wait(Instant),
}

/// The health of one endpoint.
#[derive(Debug)]
pub struct Health {
    settings: Settings,
    state: State,
    /// Results in a row that speak against the state.
    against: u32,
    due: Instant,
    running: Option<Check>,
    number: u64,
}

impl Health {
    /// The first check is due at once.
    pub fn new(settings: Settings, now: Instant) -> Self {
        Self { settings, state: State::Unknown, against: 0, due: now, running: None, number: 0 }
    }

    pub fn state(&self) -> State {
        self.state
    }

    /// What is to be done now. A check that is late is given up here, so the state may change.
    pub fn next(&mut self, now: Instant, chance: &mut Chance) -> Order {
        if let Some(check) = self.running {
            if now < check.deadline {
                return Order::Wait(check.deadline);
            }
            self.ended(check, false);
        }
        if now < self.due {
            return Order::Wait(self.due);
        }
        self.number += 1;
        self.due = now + chance.around(self.settings.interval, JITTER);
        let check = Check { number: self.number, deadline: now + self.settings.timeout };
        self.running = Some(check);
        Order::Begin(check)
    }

    /// A check has ended; one that was given up before says nothing.
    pub fn ended(&mut self, check: Check, passed: bool) {
        if self.running.take_if(|running| running.number == check.number).is_none() {
            return;
        }
        let (says, enough) = match passed {
            true => (State::Well, self.settings.healthy),
            false => (State::Ill, self.settings.unhealthy),
        };
        self.against = if says == self.state { 0 } else { self.against + 1 };
        if self.state == State::Unknown || self.against >= enough {
            self.state = says;
            self.against = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    struct Endpoint {
        health: Health,
        random: Chance,
        now: Instant,
    }

    impl Endpoint {
        fn new(unhealthy: u32, healthy: u32) -> Self {
            let now = Instant::now();
            let settings = Settings { unhealthy, healthy, ..Settings::default() };
            Self { health: Health::new(settings, now), random: Chance::seeded(3), now }
        }

        fn next(&mut self) -> Order {
            self.health.next(self.now, &mut self.random)
        }

        /// Waits for the next check to be due.
        fn begin(&mut self) -> Check {
            loop {
                match self.next() {
                    Order::Begin(check) => return check,
                    Order::Wait(until) => {
                        assert!(until > self.now);
                        self.now = until;
                    }
                }
            }
        }

        fn checked(&mut self, passed: bool) -> State {
            let check = self.begin();
            self.health.ended(check, passed);
            self.health.state()
        }
    }

    #[test]
    fn the_first_check_is_at_once_and_decides() {
        for (passed, expected) in [(true, State::Well), (false, State::Ill)] {
            let mut endpoint = Endpoint::new(3, 3);
            assert_eq!(endpoint.health.state(), State::Unknown);
            let Order::Begin(check) = endpoint.next() else { panic!() };
            endpoint.health.ended(check, passed);
            assert_eq!(endpoint.health.state(), expected);
        }
    }

    #[test]
    fn after_that_it_takes_some_in_a_row() {
        let mut endpoint = Endpoint::new(2, 3);
        endpoint.checked(true);
        let (ill, well) = (State::Ill, State::Well);
        for (passed, expected) in [
            (false, well),
            (true, well),
            (false, well),
            (false, ill),
            (false, ill),
            (true, ill),
            (true, ill),
            (false, ill),
            (true, ill),
            (true, ill),
            (true, well),
        ] {
            assert_eq!(endpoint.checked(passed), expected);
        }
    }

    #[test]
    fn an_answer_that_does_not_come_is_a_failure_and_a_late_one_comes_to_nothing() {
        let mut endpoint = Endpoint::new(1, 1);
        endpoint.checked(true);
        let late = endpoint.begin();
        assert_eq!(late.deadline, endpoint.now + SECOND);
        assert_eq!(endpoint.next(), Order::Wait(late.deadline));
        endpoint.now = late.deadline;
        assert!(matches!(endpoint.next(), Order::Wait(due) if due > endpoint.now));
        assert_eq!(endpoint.health.state(), State::Ill);
        endpoint.health.ended(late, true);
        assert_eq!(endpoint.health.state(), State::Ill);
        // Nor does it when the next one is under way.
        let next = endpoint.begin();
        endpoint.health.ended(late, true);
        assert_eq!(endpoint.health.state(), State::Ill);
        endpoint.health.ended(next, true);
        assert_eq!(endpoint.health.state(), State::Well);
    }

    #[test]
    fn checks_keep_their_distance_give_or_take_a_tenth() {
        let mut endpoint = Endpoint::new(2, 1);
        let mut before = None;
        let mut gaps = Vec::new();
        for _ in 0..200 {
            endpoint.checked(true);
            gaps.extend(before.replace(endpoint.now).map(|before| (endpoint.now - before).as_secs_f64()));
        }
        assert!(gaps.iter().all(|gap| (4.5..=5.5).contains(gap)));
        assert!(gaps.iter().any(|gap| *gap < 4.6) && gaps.iter().any(|gap| *gap > 5.4));
    }

    #[test]
    fn one_check_at_a_time_even_if_it_takes_longer_than_the_interval() {
        let mut endpoint = Endpoint::new(2, 1);
        endpoint.health.settings.timeout = SECOND * 60;
        let check = endpoint.begin();
        for _ in 0..59 {
            endpoint.now += SECOND;
            assert_eq!(endpoint.next(), Order::Wait(check.deadline));
        }
        endpoint.health.ended(check, true);
        assert!(matches!(endpoint.next(), Order::Begin(_)));
    }

    #[test]
    fn settings_that_are_wrong_say_so() {
        assert_eq!(Settings::default().check(), Ok(()));
        let said = |change: fn(&mut Settings)| {
            let mut settings = Settings::default();
            change(&mut settings);
            settings.check().unwrap_err()
        };
        assert_eq!(
            said(|it| it.interval = Duration::ZERO),
            "interval is 0ns: expected more than 0 s and at most a day"
        );
        assert_eq!(
            said(|it| it.timeout = Duration::ZERO),
            "timeout is 0ns: expected more than 0 s and at most a day"
        );
        assert_eq!(said(|it| it.unhealthy = 0), "unhealthy is 0: expected at least 1");
        assert_eq!(said(|it| it.healthy = 0), "healthy is 0: expected at least 1");
    }
}
