//! How old a connection may become: connections that live for ever leave new endpoints without traffic.
//!
//! As gRPC's MAX_CONNECTION_AGE and MAX_CONNECTION_AGE_GRACE (gRFC A9): an old connection gets no new
//! requests, and what is under way has the grace to end. Give or take a tenth, so that connections made
//! together do not end together.

use crate::{
    chance::Chance,
    settings::{Checked, above_zero},
};
use std::time::{Duration, Instant};

const JITTER: f64 = 0.1;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `None`: it never becomes old.
    pub max_age: Option<Duration>,
    /// What requests are given after that. `None`: as long as they take.
    pub grace: Option<Duration>,
}

impl Default for Settings {
    /// 300 s, and as long as requests take.
    fn default() -> Self {
        Self { max_age: Some(Duration::from_secs(300)), grace: None }
    }
}

impl Settings {
    /// Fails with the field, what was found and what is expected.
    pub fn check(&self) -> Checked {
        self.max_age.map_or(Ok(()), |age| above_zero("max_age", age))
    }
}

/// Where in its life a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It takes requests.
    Young,
    /// It takes no more, and ends when those under way have ended.
    Old,
    /// It ends now.
    Over,
}

/// The life of one connection, known when it begins.
#[derive(Debug, Clone, Copy)]
pub struct Age {
    retires: Option<Instant>,
    ends: Option<Instant>,
}

impl Age {
    pub fn new(settings: &Settings, now: Instant, chance: &mut Chance) -> Self {
        let retires = settings.max_age.and_then(|age| now.checked_add(chance.around(age, JITTER)));
        let ends = retires.zip(settings.grace).and_then(|(retires, grace)| retires.checked_add(grace));
        Self { retires, ends }
    }

    pub fn stage(&self, now: Instant) -> Stage {
        let has_come = |moment: Option<Instant>| moment.is_some_and(|moment| moment <= now);
        match (has_come(self.retires), has_come(self.ends)) {
            (_, true) => Stage::Over,
            (true, false) => Stage::Old,
            (false, false) => Stage::Young,
        }
    }

    /// When the next stage begins; `None`: this is the last.
    pub fn next_stage(&self, now: Instant) -> Option<Instant> {
        [self.retires, self.ends].into_iter().flatten().find(|moment| *moment > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn age(max_age: Option<Duration>, grace: Option<Duration>, seed: u64) -> (Age, Instant) {
        let now = Instant::now();
        let mut random = Chance::seeded(seed);
        (Age::new(&Settings { max_age, grace }, now, &mut random), now)
    }

    #[test]
    fn it_is_young_then_old_then_over() {
        for seed in 0..100 {
            let (age, born) = age(Some(SECOND * 100), Some(SECOND * 10), seed);
            assert_eq!(age.stage(born + SECOND * 89), Stage::Young);
            let old = age.next_stage(born).unwrap();
            assert!((90..=110).contains(&(old - born).as_secs()));
            assert_eq!(age.stage(old - SECOND / 1_000), Stage::Young);
            assert_eq!(age.stage(old), Stage::Old);
            assert_eq!(age.next_stage(old), Some(old + SECOND * 10));
            assert_eq!(age.stage(old + SECOND * 10), Stage::Over);
            assert_eq!(age.next_stage(old + SECOND * 10), None);
        }
    }

    #[test]
    fn connections_made_together_do_not_end_together() {
        let ends = (0..10).map(|seed| {
            let (age, born) = age(Some(SECOND * 1_000), None, seed);
            (age.next_stage(born).unwrap() - born).as_secs()
        });
        let different: std::collections::BTreeSet<u64> = ends.collect();
        assert!(different.len() > 5, "{different:?}");
    }

    #[test]
    fn without_a_grace_requests_take_as_long_as_they_take() {
        let (age, born) = age(Some(SECOND), None, 1);
        assert_eq!(age.stage(born + SECOND * 1_000_000), Stage::Old);
        assert_eq!(age.next_stage(born + SECOND * 2), None);
    }

    #[test]
    fn without_a_maximum_it_stays_young() {
        for max_age in [None, Some(Duration::from_secs(u64::MAX / 2))] {
            let (age, born) = age(max_age, Some(SECOND), 1);
            assert_eq!(age.stage(born + SECOND * 1_000_000), Stage::Young);
        }
    }

    #[test]
    fn settings_that_are_wrong_say_so() {
        assert_eq!(Settings::default().check(), Ok(()));
        let said = Settings { max_age: Some(Duration::ZERO), grace: None }.check().unwrap_err();
        assert_eq!(said, "max_age is 0ns: expected more than 0 s");
    }
}
