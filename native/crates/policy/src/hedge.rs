//! When a request is sent to a second endpoint although the first has not failed: some of them are slow for
//! no reason of the request's own, and another would have answered by now.
//!
//! J. Dean and L. A. Barroso, "The Tail at Scale", 2013: wait for the expected latency's high quantile. As
//! Finagle's `BackupRequestFilter`, within a budget, or else hedges add to the overload that makes everything
//! slow.

use crate::{
    budget::{self, Budget},
    quantile::Recent,
    settings::{self, Checked},
};
use std::time::{Duration, Instant};

/// So many samples have to lie beyond a quantile before it is believed.
const BEYOND: f64 = 2.0;

/// A quantile is looked up again after so many samples.
const REFRESH: u32 = 16;

/// Hedges per second that a service may have which is seldom called.
const RESERVE: f64 = 0.1;

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Hedge after this time. `None`: after that of the quantile.
    pub delay: Option<Duration>,
    /// The share of recent answers that took no longer.
    pub quantile: f64,
    /// Hedges for each request.
    pub budget_ratio: f64,
    /// Hedges of one request.
    pub max_hedges: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { delay: None, quantile: 0.95, budget_ratio: 0.05, max_hedges: 1 }
    }
}

impl Settings {
    pub fn check(&self) -> Checked {
        if let Some(delay) = self.delay {
            settings::above_zero("delay", delay)?;
        }
        let quantile = self.quantile;
        settings::holds("quantile", quantile, "0.5 to 0.999", (0.5..=0.999).contains(&quantile))?;
        settings::share("budget_ratio", self.budget_ratio)?;
        settings::holds("max_hedges", self.max_hedges, "1 to 4", (1..=4).contains(&self.max_hedges))
    }
}

#[derive(Debug)]
pub struct Hedge {
    settings: Settings,
    budget: Budget,
    recent: Recent,
    /// The quantile as it was looked up last.
    delay: Option<Duration>,
    /// Samples until it is looked up again.
    fresh: u32,
}

impl Hedge {
    pub fn new(now: Instant, settings: Settings) -> Self {
        let budget = budget::Settings {
            ratio: settings.budget_ratio,
            reserve: RESERVE,
            ..budget::Settings::default()
        };
        Self {
            budget: Budget::new(now, &budget),
            recent: Recent::new(now),
            delay: settings.delay,
            fresh: 0,
            settings,
        }
    }

    /// A request begins. Without an answer after this time, and again after each further one, it may be
    /// hedged; `None`: too little is known yet.
    pub fn start(&mut self, now: Instant) -> Option<Duration> {
        self.budget.deposit(now);
        self.delay
    }

    /// Whether one more hedge of a request is sent now, after so many others of it. Then it counts as sent.
    pub fn may_send(&mut self, now: Instant, sent: u32) -> bool {
        sent < self.settings.max_hedges && self.budget.withdraw(now)
    }

    /// A good answer came so long after its request began, whichever attempt brought it.
    pub fn observe(&mut self, now: Instant, latency: Duration) {
        if self.settings.delay.is_some() {
            return;
        }
        self.recent.record(now, latency);
        if self.fresh > 0 {
            self.fresh -= 1;
            return;
        }
        self.fresh = REFRESH;
        let beyond = self.recent.total() as f64 * (1.0 - self.settings.quantile);
        self.delay = if beyond >= BEYOND { self.recent.quantile(self.settings.quantile) } else { None };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;

    const SECOND: Duration = Duration::from_secs(1);

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_delay_that_is_given_holds_from_the_beginning() {
        let now = Instant::now();
        let mut hedge = Hedge::new(now, Settings { delay: Some(millis(20)), ..Settings::default() });
        hedge.observe(now, SECOND);
        assert_eq!(hedge.start(now), Some(millis(20)));
    }

    #[test]
    fn nothing_is_hedged_until_enough_is_known() {
        let now = Instant::now();
        let mut hedge = Hedge::new(now, Settings::default());
        (0..39).for_each(|_| hedge.observe(now, millis(10)));
        assert_eq!(hedge.start(now), None);
        (0..REFRESH).for_each(|_| hedge.observe(now, millis(10)));
        assert!(hedge.start(now).is_some_and(|delay| delay >= millis(10) && delay < millis(11)));
    }

    #[test]
    fn the_delay_follows_the_quantile() {
        let start = Instant::now();
        let mut hedge = Hedge::new(start, Settings { quantile: 0.9, ..Settings::default() });
        let mut teach = |now, of_ten: [u64; 10]| {
            (0..1_000).for_each(|index| hedge.observe(now, millis(of_ten[index % 10])));
            hedge.start(now).unwrap()
        };
        let first = teach(start, [10, 10, 10, 10, 10, 10, 10, 10, 10, 200]);
        assert!((millis(10)..millis(11)).contains(&first), "{first:?}");
        let later = teach(start + 120 * SECOND, [40, 40, 40, 40, 40, 40, 40, 40, 40, 200]);
        assert!((millis(40)..millis(43)).contains(&later), "{later:?}");
        // It knows nothing again after a long silence.
        hedge.fresh = 0;
        hedge.observe(start + 3600 * SECOND, millis(40));
        assert_eq!(hedge.start(start + 3600 * SECOND), None);
    }

    #[test]
    fn a_request_is_hedged_no_more_often_than_it_may() {
        let now = Instant::now();
        let mut hedge = Hedge::new(now, Settings { budget_ratio: 1.0, max_hedges: 2, ..Settings::default() });
        assert!((0..10).all(|_| hedge.start(now).is_none()));
        assert!(hedge.may_send(now, 0) && hedge.may_send(now, 1) && !hedge.may_send(now, 2));
    }

    #[test]
    fn a_service_that_is_seldom_called_is_hedged_once_in_a_while() {
        let now = Instant::now();
        let mut hedge = Hedge::new(now, Settings::default());
        assert!(hedge.may_send(now, 0) && !hedge.may_send(now, 0));
        assert!(hedge.may_send(now + 10 * SECOND, 0));
    }

    /// An endpoint is slow now and then; the other one is not at that moment.
    #[test]
    fn the_tail_is_cut_for_a_twentieth_more_requests() {
        let start = Instant::now();
        let (mut hedge, mut chance) = (Hedge::new(start, Settings::default()), Chance::seeded(9));
        let mut draw = || if chance.happens(0.03) { millis(500) } else { millis(10) };
        let (mut slow, mut hedges, requests) = (0, 0, 20_000);
        for request in 0..requests {
            let now = start + millis(request);
            let (delay, mut latency) = (hedge.start(now), draw());
            if let Some(delay) = delay.filter(|delay| *delay < latency)
                && hedge.may_send(now + delay, 0)
            {
                hedges += 1;
                latency = latency.min(delay + draw());
            }
            hedge.observe(now + latency, latency);
            slow += u64::from(latency > millis(100));
        }
        assert!(hedges <= requests / 20, "{hedges}");
        assert!(slow < requests * 5 / 1_000, "{slow}");
    }

    /// When everything becomes slow, hedges stay within their budget.
    #[test]
    fn an_overload_is_not_multiplied() {
        let start = Instant::now();
        let mut hedge = Hedge::new(start, Settings::default());
        (0..1_000).for_each(|_| hedge.observe(start, millis(10)));
        let hedges = (0..10_000)
            .filter(|request| {
                let now = start + millis(*request);
                hedge.start(now).is_some() && hedge.may_send(now, 0)
            })
            .count();
        assert!((500..=502).contains(&hedges), "{hedges}");
    }

    #[test]
    fn settings_that_make_no_sense_are_named() {
        let bad = Settings { quantile: 95.0, ..Settings::default() };
        assert_eq!(bad.check(), Err("quantile is 95.0: expected 0.5 to 0.999".into()));
        assert_eq!(Settings::default().check(), Ok(()));
    }
}
