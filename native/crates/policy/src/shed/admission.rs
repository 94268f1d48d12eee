//! Refuses a share of the requests while many of those that are sent fail: an upstream that is overloaded by
//! requests it cannot answer gets fewer, and none has to wait to be told.
//!
//! The client-side throttling of *Site Reliability Engineering*, chapter 21, as Envoy's admission control has
//! it: a request is refused with the probability `((sent - succeeded / min_success_rate) / (sent + 1)) ^ (1 /
//! aggression)`. What is refused here is not sent, so it does not count; that a part always is sent tells
//! when the upstream has recovered.

use crate::chance::Chance;
use crate::settings::{Checked, above_zero, holds};
use std::time::{Duration, Instant};

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// With at least this share of successes nothing is refused.
    pub min_success_rate: f64,
    /// 1: as many more are refused as fail more; above it, more of them at once.
    pub aggression: f64,
    /// What is remembered: older answers count less and less, those of this age 1/e.
    pub window: Duration,
    /// No larger share than this is refused.
    pub max_refused: f64,
    /// Answers that have to be remembered before anything is refused: a few failures are no overload.
    pub min_requests: u32,
}

impl Default for Settings {
    /// 95 %, 1, 30 s, 80 %, 10.
    fn default() -> Self {
        Self {
            min_success_rate: 0.95,
            aggression: 1.0,
            window: Duration::from_secs(30),
            max_refused: 0.8,
            min_requests: 10,
        }
    }
}

impl Settings {
    /// Fails with the field, what was found and what is expected.
    pub fn check(&self) -> Checked {
        let is_share = |share: f64| share > 0.0 && share <= 1.0;
        holds(
            "min_success_rate",
            self.min_success_rate,
            "more than 0 and at most 1",
            is_share(self.min_success_rate),
        )?;
        holds("aggression", self.aggression, "1 to 100", (1.0..=100.0).contains(&self.aggression))?;
        above_zero("window", self.window)?;
        holds("max_refused", self.max_refused, "0 to 1, without 1", (0.0..1.0).contains(&self.max_refused))
    }
}

/// What became of the requests that were sent.
#[derive(Debug)]
pub struct Admission {
    settings: Settings,
    sent: f64,
    succeeded: f64,
    counted: Instant,
}

impl Admission {
    pub fn new(settings: Settings, now: Instant) -> Self {
        Self { settings, sent: 0.0, succeeded: 0.0, counted: now }
    }

    /// One that was sent has ended.
    pub fn ended(&mut self, succeeded: bool, now: Instant) {
        let kept = self.kept(now);
        self.sent = self.sent * kept + 1.0;
        self.succeeded = self.succeeded * kept + f64::from(u8::from(succeeded));
        self.counted = self.counted.max(now);
    }

    /// Whether one that comes now is let in.
    pub fn admit(&self, now: Instant, chance: &mut Chance) -> bool {
        let refused = self.refused(now);
        refused <= 0.0 || !chance.happens(refused)
    }

    /// The share that is refused.
    pub fn refused(&self, now: Instant) -> f64 {
        let Settings { min_success_rate, aggression, max_refused, min_requests, .. } = self.settings;
        let kept = self.kept(now);
        let (sent, succeeded) = (self.sent * kept, self.succeeded * kept);
        if sent < f64::from(min_requests) {
            return 0.0;
        }
        let excess = (sent - succeeded / min_success_rate) / (sent + 1.0);
        excess.max(0.0).powf(1.0 / aggression).min(max_refused)
    }

    fn kept(&self, now: Instant) -> f64 {
        let age = now.saturating_duration_since(self.counted);
        (-age.div_duration_f64(self.settings.window)).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// What is refused after a minute of a hundred answers per second, of which so many in a hundred succeed.
    fn after(successes: u32, settings: Settings) -> (Admission, Instant) {
        let mut now = Instant::now();
        let mut admission = Admission::new(settings, now);
        for number in 0..6_000 {
            now += MS * 10;
            admission.ended(number * 37 % 100 < successes, now);
        }
        (admission, now)
    }

    #[test]
    fn nothing_is_refused_while_enough_succeeds() {
        for successes in [95, 98, 100] {
            let (admission, now) = after(successes, Settings::default());
            assert!(admission.refused(now) < 0.005, "{successes}: {}", admission.refused(now));
        }
    }

    #[test]
    fn more_failures_refuse_more_up_to_the_most() {
        for (successes, expected) in [(76, 0.2), (57, 0.4), (38, 0.6), (10, 0.8), (0, 0.8)] {
            let (admission, now) = after(successes, Settings::default());
            let refused = admission.refused(now);
            assert!((refused - expected).abs() < 0.015, "{successes}: {refused}");
        }
        let (admission, now) = after(76, Settings { aggression: 2.0, ..Settings::default() });
        assert!((admission.refused(now) - 0.2f64.sqrt()).abs() < 0.02);
    }

    #[test]
    fn the_share_is_that_of_the_requests() {
        let (admission, now) = after(57, Settings::default());
        let mut random = Chance::seeded(5);
        let refused = (0..10_000).filter(|_| !admission.admit(now, &mut random)).count();
        assert!((3_800..4_200).contains(&refused), "{refused}");
    }

    #[test]
    fn a_few_failures_are_no_overload() {
        let now = Instant::now();
        let mut admission = Admission::new(Settings::default(), now);
        (0..9).for_each(|_| admission.ended(false, now));
        assert_eq!(admission.refused(now), 0.0);
        admission.ended(false, now);
        assert!(admission.refused(now) > 0.5);
    }

    #[test]
    fn what_is_long_ago_is_forgotten_and_recovery_is_noticed() {
        let (mut admission, mut now) = after(0, Settings::default());
        assert_eq!(admission.refused(now + Duration::from_secs(300)), 0.0);
        let mut random = Chance::seeded(5);
        let mut sent = 0;
        let start = now;
        while admission.refused(now) > 0.05 {
            now += MS * 10;
            if admission.admit(now, &mut random) {
                sent += 1;
                admission.ended(true, now);
            }
            assert!(now < start + Duration::from_secs(120), "{sent} sent, {}", admission.refused(now));
        }
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
            said(|it| it.min_success_rate = 0.0),
            "min_success_rate is 0.0: expected more than 0 and at most 1"
        );
        assert_eq!(
            said(|it| it.min_success_rate = f64::NAN),
            "min_success_rate is NaN: expected more than 0 and at most 1"
        );
        assert_eq!(said(|it| it.aggression = 0.5), "aggression is 0.5: expected 1 to 100");
        assert_eq!(said(|it| it.window = Duration::ZERO), "window is 0ns: expected more than 0 s");
        assert_eq!(said(|it| it.max_refused = 1.0), "max_refused is 1.0: expected 0 to 1, without 1");
    }
}
