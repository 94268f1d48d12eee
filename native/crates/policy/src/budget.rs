//! How many attempts may be made beyond the first: a share of the requests, so that retries cannot multiply
//! an overload, and a few in any case, so that a service that is seldom called can be tried again at all.
//!
//! As Finagle's `RetryBudget` and tower's `TpsBudget`: each request deposits a share, each retry withdraws
//! one; both are forgotten after the window.

use crate::{
    settings::{self, Checked},
    window::Window,
};
use std::time::{Duration, Instant};

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Retries for each request.
    pub ratio: f64,
    /// Retries per second that are always in order.
    pub reserve: f64,
    /// How long requests and retries are remembered.
    pub window: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { ratio: 0.2, reserve: 10.0, window: Duration::from_secs(10) }
    }
}

impl Settings {
    pub fn check(&self) -> Checked {
        settings::holds("ratio", self.ratio, "0 to 1,000", (0.0..=1e3).contains(&self.ratio))?;
        settings::holds("reserve", self.reserve, "0 to 1,000,000", (0.0..=1e6).contains(&self.reserve))?;
        let window = Duration::from_secs(1)..=Duration::from_secs(60);
        settings::holds("window", self.window, "1 s to 60 s", window.contains(&self.window))
    }
}

/// Of one retry. Whole numbers, because what is added to a sum has to leave it again.
const RETRY: i64 = 1_000_000;

#[derive(Debug)]
pub struct Budget {
    deposit: i64,
    reserve: i64,
    balance: Window<i64>,
}

impl Budget {
    pub fn new(now: Instant, settings: &Settings) -> Self {
        let reserve = settings.reserve * settings.window.as_secs_f64();
        Self {
            deposit: (settings.ratio * RETRY as f64) as i64,
            reserve: (reserve * RETRY as f64) as i64,
            balance: Window::new(now, settings.window),
        }
    }

    /// A request came.
    pub fn deposit(&mut self, now: Instant) {
        self.balance.add(now, self.deposit);
    }

    /// Whether another attempt may be made; it is then counted as made.
    pub fn withdraw(&mut self, now: Instant) -> bool {
        let allowed = self.reserve + self.balance.sum(now) >= RETRY;
        if allowed {
            self.balance.add(now, -RETRY);
        }
        allowed
    }

    /// How many attempts may be made at this moment.
    pub fn left(&mut self, now: Instant) -> u64 {
        ((self.reserve + self.balance.sum(now)) / RETRY).max(0) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn granted(budget: &mut Budget, now: Instant) -> usize {
        (0..10_000).take_while(|_| budget.withdraw(now)).count()
    }

    #[test]
    fn the_reserve_is_there_without_any_request() {
        let now = Instant::now();
        let mut budget = Budget::new(now, &Settings::default());
        assert_eq!(budget.left(now), 100);
        assert_eq!(granted(&mut budget, now), 100);
        assert_eq!(budget.left(now), 0);
    }

    #[test]
    fn requests_earn_their_share() {
        let now = Instant::now();
        let mut budget = Budget::new(now, &Settings { reserve: 0.0, ..Settings::default() });
        assert!(!budget.withdraw(now));
        (0..1_000).for_each(|_| budget.deposit(now));
        assert_eq!(granted(&mut budget, now), 200);
    }

    #[test]
    fn what_was_earned_and_spent_is_forgotten_after_the_window() {
        let start = Instant::now();
        let mut budget = Budget::new(start, &Settings { reserve: 1.0, ..Settings::default() });
        (0..1_000).for_each(|_| budget.deposit(start));
        assert_eq!(budget.left(start + 9 * SECOND), 210);
        assert_eq!(budget.left(start + 10 * SECOND), 10);
        assert_eq!(granted(&mut budget, start + 10 * SECOND), 10);
        assert!(!budget.withdraw(start + 19 * SECOND));
        assert_eq!(budget.left(start + 20 * SECOND), 10);
    }

    #[test]
    fn under_steady_failure_retries_stay_a_share_of_the_requests() {
        let start = Instant::now();
        let mut budget = Budget::new(start, &Settings { reserve: 0.0, ..Settings::default() });
        let mut retries = 0;
        for request in 0..100_000 {
            let now = start + Duration::from_millis(request);
            budget.deposit(now);
            retries += usize::from(budget.withdraw(now));
        }
        assert!((19_900..=20_000).contains(&retries), "{retries}");
    }

    #[test]
    fn settings_that_make_no_sense_are_named() {
        let bad = Settings { ratio: f64::NAN, ..Settings::default() };
        assert_eq!(bad.check(), Err("ratio is NaN: expected 0 to 1,000".into()));
        let bad = Settings { window: Duration::ZERO, ..Settings::default() };
        assert_eq!(bad.check(), Err("window is 0ns: expected 1 s to 60 s".into()));
        assert_eq!(Settings::default().check(), Ok(()));
    }

    proptest! {
        /// In any window there are no more retries than its requests, and those of the window before it, have
        /// earned.
        #[test]
        fn no_pattern_of_calls_overdraws_it(
            steps in prop::collection::vec((0u64..500, any::<bool>()), 1..500),
        ) {
            let start = Instant::now();
            let mut budget = Budget::new(start, &Settings { reserve: 1.0, ..Settings::default() });
            let mut now = start;
            let (mut deposits, mut retries) = (Vec::new(), Vec::new());
            for (millis, deposit) in steps {
                now += Duration::from_millis(millis);
                if deposit {
                    budget.deposit(now);
                    deposits.push(now);
                } else if budget.withdraw(now) {
                    retries.push(now);
                }
                let since = |times: &[Instant], age| {
                    times.iter().filter(|at| now - **at < age).count() as f64
                };
                prop_assert!(since(&retries, 9 * SECOND) <= 10.0 + 0.2 * since(&deposits, 20 * SECOND));
            }
        }
    }
}
