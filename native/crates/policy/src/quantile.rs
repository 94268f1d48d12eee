//! Quantiles of recent latencies: a histogram of logarithmic buckets, as HdrHistogram's, whose counts are
//! halved again and again, so that it needs neither samples nor a window of them.

use std::time::{Duration, Instant};

/// Each power of two has so many buckets: a quantile is no more than a sixteenth too high.
const BITS: u32 = 4;
const PER_POWER: usize = 1 << BITS;

/// Microseconds that are told apart: above 2^27, some two minutes, all are the same.
const POWERS: u32 = 27;
const BUCKETS: usize = (POWERS - BITS + 2) as usize * PER_POWER;

/// The time after which a sample counts half.
const HALF_LIFE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct Recent {
    counts: Box<[u32; BUCKETS]>,
    total: u64,
    halved: Instant,
}

impl Recent {
    pub fn new(now: Instant) -> Self {
        Self { counts: Box::new([0; BUCKETS]), total: 0, halved: now }
    }

    pub fn record(&mut self, now: Instant, latency: Duration) {
        self.forget(now);
        let count = &mut self.counts[bucket(latency)];
        *count = count.saturating_add(1);
        self.total += 1;
    }

    /// Samples that count.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The latency that this share of them, 0 to 1, did not exceed. `None` without any.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let wanted = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let index = self.counts.iter().position(|count| {
            seen += u64::from(*count);
            seen >= wanted
        })?;
        Some(Duration::from_micros(end(index)))
    }

    fn forget(&mut self, now: Instant) {
        let times = now.saturating_duration_since(self.halved).as_nanos() / HALF_LIFE.as_nanos();
        if times == 0 {
            return;
        }
        self.total = 0;
        for count in self.counts.iter_mut() {
            *count = count.checked_shr(times.min(32) as u32).unwrap_or(0);
            self.total += u64::from(*count);
        }
        self.halved = now;
    }
}

fn bucket(latency: Duration) -> usize {
    let micros = latency.as_micros().min((1 << (POWERS + 1)) - 1) as usize;
    if micros < PER_POWER {
        return micros;
    }
    let power = micros.ilog2();
    ((power - BITS + 1) as usize) * PER_POWER + ((micros >> (power - BITS)) & (PER_POWER - 1))
}

/// The last microsecond of a bucket.
fn end(index: usize) -> u64 {
    let (group, within) = (index / PER_POWER, (index % PER_POWER) as u64);
    match group {
        0 => within,
        group => ((PER_POWER as u64 + within + 1) << (group - 1)) - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn of(millis: impl IntoIterator<Item = u64>) -> Recent {
        let now = Instant::now();
        let mut recent = Recent::new(now);
        millis.into_iter().for_each(|millis| recent.record(now, Duration::from_millis(millis)));
        recent
    }

    fn millis(recent: &Recent, share: f64) -> f64 {
        recent.quantile(share).unwrap().as_secs_f64() * 1e3
    }

    #[test]
    fn without_samples_there_is_no_quantile() {
        assert_eq!(of([]).quantile(0.5), None);
    }

    #[test]
    fn quantiles_are_right_within_a_sixteenth() {
        let recent = of(1..=1_000);
        for (share, expected) in [(0.5, 500.0), (0.95, 950.0), (1.0, 1_000.0), (0.0, 1.0)] {
            let found = millis(&recent, share);
            assert!((expected..=expected * 1.07).contains(&found), "{share}: {found}");
        }
    }

    #[test]
    fn what_is_recent_counts_more() {
        let start = Instant::now();
        let mut recent = Recent::new(start);
        (0..1_000).for_each(|_| recent.record(start, Duration::from_millis(100)));
        let later = start + 150 * SECOND;
        (0..100).for_each(|_| recent.record(later, Duration::from_millis(10)));
        assert_eq!(recent.total(), 131);
        assert!(millis(&recent, 0.7) < 11.0);
        recent.record(later + 3600 * SECOND, Duration::from_millis(1));
        assert_eq!(recent.total(), 1);
    }

    #[test]
    fn no_latency_is_too_long() {
        let found = of([u64::MAX / 1_000_000]).quantile(1.0).unwrap();
        assert!(found > 100 * SECOND);
    }

    proptest! {
        #[test]
        fn a_latency_is_in_its_bucket(micros in 0u64..1 << 28) {
            let index = bucket(Duration::from_micros(micros));
            prop_assert!(micros <= end(index) && (index == 0 || micros > end(index - 1)));
            prop_assert!(end(index) - micros <= micros / 16);
        }
    }
}
