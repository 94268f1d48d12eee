//! When instances will be free, and how busy they were. Pure: moments are given.

use crate::fit::Fit;
use smallvec::SmallVec;
use std::time::{Duration, Instant};

/// Without news for so long, one request that a prediction would refuse is let through to check the prediction.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// How far back utilisation looks: older times count 1/e and less.
const MEMORY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct Forecast {
    fit: Fit,
    /// Per instance: when its batch started, and its rows.
    running: Vec<Option<(Instant, usize)>>,
    /// The last batch that was measured, or probe that was let through.
    last_news: Option<Instant>,
    /// Busy instances as a share of all, averaged up to a moment.
    utilisation: f64,
    averaged: Option<Instant>,
}

impl Forecast {
    pub fn new(instances: usize) -> Self {
        Self {
            fit: Fit::default(),
            running: vec![None; instances],
            last_news: None,
            utilisation: 0.0,
            averaged: None,
        }
    }

    pub fn fit(&self) -> &Fit {
        &self.fit
    }

    pub fn started(&mut self, instance: usize, rows: usize, now: Instant) {
        self.average(now);
        self.running[instance] = Some((now, rows));
    }

    /// An instance is free again; `took` is how long its batch ran, if it did not fail.
    pub fn finished(&mut self, instance: usize, took: Option<Duration>, now: Instant) {
        self.average(now);
        if let (Some((_, rows)), Some(took)) = (self.running[instance].take(), took) {
            self.fit.observe(rows, took);
            self.last_news = Some(now);
        }
    }

    pub fn learn(&mut self, rows: usize, took: Duration) {
        self.fit.observe(rows, took);
    }

    pub fn is_idle(&self) -> bool {
        self.running.iter().all(Option::is_none)
    }

    pub fn has_free_instance(&self) -> bool {
        self.running.iter().any(Option::is_none)
    }

    /// Whether a refusal may rest on what is known. Once in a while it may not: then the caller lets the request
    /// through, and its batch is news.
    pub fn is_to_be_probed(&mut self, now: Instant) -> bool {
        let stale = self.is_idle() && self.last_news.is_none_or(|news| news + PROBE_EVERY <= now);
        if stale {
            self.last_news = Some(now);
        }
        stale
    }

    /// How long until a batch can start that has so many batches of `full` rows in front of it. `None` until enough
    /// is known. A batch that runs for longer than predicted is expected to end at any moment.
    pub fn starts_in(&self, batches: usize, full: usize, now: Instant) -> Option<Duration> {
        let each = self.fit.predict(full)?;
        let mut free: SmallVec<[Duration; 8]> = SmallVec::new();
        for running in &self.running {
            free.push(match running {
                None => Duration::ZERO,
                Some((started, rows)) => {
                    self.fit.predict(*rows)?.saturating_sub(now.saturating_duration_since(*started))
                }
            });
        }
        free.sort_unstable();
        // Instances take batches in turn, the one that is free first begins.
        let rounds = u32::try_from(batches / free.len()).unwrap_or(u32::MAX);
        Some(free[batches % free.len()].saturating_add(each.saturating_mul(rounds)))
    }

    /// 0: nothing ran lately, 1: every instance was busy all the time.
    pub fn utilisation(&mut self, now: Instant) -> f64 {
        self.average(now);
        self.utilisation
    }

    fn average(&mut self, now: Instant) {
        let Some(before) = self.averaged.replace(now) else { return };
        let busy = self.running.iter().flatten().count() as f64 / self.running.len() as f64;
        let kept = (-now.saturating_duration_since(before).div_duration_f64(MEMORY)).exp();
        self.utilisation = busy + (self.utilisation - busy) * kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A forecast that has seen batches of all sizes take 2 ms and 1 ms per row, up to the returned moment.
    fn taught(instances: usize) -> (Forecast, Instant) {
        let (mut forecast, mut now) = (Forecast::new(instances), Instant::now());
        for rows in (1..=8).cycle().take(40) {
            forecast.started(0, rows, now);
            now += MS * (2 + rows as u32);
            forecast.finished(0, Some(MS * (2 + rows as u32)), now);
        }
        (forecast, now)
    }

    fn rounded(duration: Option<Duration>) -> u128 {
        (duration.unwrap() + MS / 2).as_millis()
    }

    #[test]
    fn an_idle_instance_starts_at_once_and_batches_follow_each_other() {
        let (forecast, now) = taught(1);
        assert_eq!(rounded(forecast.starts_in(0, 8, now)), 0);
        assert_eq!(rounded(forecast.starts_in(3, 8, now)), 30);
    }

    #[test]
    fn what_runs_is_waited_for() {
        let (mut forecast, now) = taught(1);
        forecast.started(0, 6, now);
        assert_eq!(rounded(forecast.starts_in(0, 8, now + MS * 3)), 5);
        assert_eq!(rounded(forecast.starts_in(2, 8, now + MS * 3)), 25);
        // Overdue: it may end at any moment.
        assert_eq!(rounded(forecast.starts_in(0, 8, now + MS * 30)), 0);
    }

    #[test]
    fn instances_share_the_work() {
        let (mut forecast, now) = taught(3);
        forecast.started(0, 2, now);
        forecast.started(2, 6, now);
        let starts = (0..5).map(|batches| rounded(forecast.starts_in(batches, 8, now)));
        assert_eq!(starts.collect::<Vec<_>>(), [0, 4, 8, 10, 14]);
    }

    #[test]
    fn a_failed_batch_teaches_nothing() {
        let (mut forecast, now) = taught(1);
        let before = forecast.fit().predict(8);
        forecast.started(0, 8, now);
        forecast.finished(0, None, now + MS);
        assert_eq!(forecast.fit().predict(8), before);
        assert!(forecast.is_idle());
    }

    #[test]
    fn silence_is_probed_once_at_a_time() {
        let (mut forecast, now) = taught(1);
        assert!(!forecast.is_to_be_probed(now + MS));
        let later = now + PROBE_EVERY;
        assert!(forecast.is_to_be_probed(later));
        assert!(!forecast.is_to_be_probed(later + MS));
        forecast.started(0, 1, later);
        // It runs: news are on their way.
        assert!(!forecast.is_to_be_probed(later + PROBE_EVERY * 5));
    }

    #[test]
    fn utilisation_follows_what_runs() {
        let (mut forecast, start) = (Forecast::new(2), Instant::now());
        assert_eq!(forecast.utilisation(start), 0.0);
        forecast.started(0, 1, start);
        assert!((forecast.utilisation(start + MEMORY * 10) - 0.5).abs() < 0.01);
        forecast.started(1, 1, start + MEMORY * 10);
        assert!((forecast.utilisation(start + MEMORY * 20) - 1.0).abs() < 0.01);
        forecast.finished(0, None, start + MEMORY * 20);
        forecast.finished(1, None, start + MEMORY * 20);
        let later = forecast.utilisation(start + MEMORY * 21);
        assert!((later - (-1.0f64).exp()).abs() < 0.01, "{later}");
    }
}
