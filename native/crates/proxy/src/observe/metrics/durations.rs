//! A histogram of durations that threads share without a lock.

use super::Counter;
use std::{array, time::Duration};

/// Inclusive upper bounds in units of 10 us: those of gRPC's own metrics, so that both can be laid over each other.
/// <https://github.com/grpc/proposal/blob/master/A66-otel-stats.md>
const BOUNDS: [u64; 40] = [
    1, 5, 10, 30, 60, 80, 100, 200, 300, 400, 500, 600, 800, 1_000, 1_300, 1_600, 2_000, 2_500, 3_000, 4_000,
    5_000, 6_500, 8_000, 10_000, 13_000, 16_000, 20_000, 25_000, 30_000, 40_000, 50_000, 65_000, 80_000,
    100_000, 200_000, 500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000,
];

/// Nanoseconds.
const UNIT: u64 = 10_000;

/// One for each bound, and one for what is beyond them.
const BUCKETS: usize = BOUNDS.len() + 1;

#[derive(Debug)]
pub struct Durations {
    counts: [Counter; BUCKETS],
    nanos: Counter,
}

impl Default for Durations {
    fn default() -> Self {
        Self { counts: array::from_fn(|_| Counter::default()), nanos: Counter::default() }
    }
}

/// What it held at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    counts: [u64; BUCKETS],
    /// In seconds.
    pub sum: f64,
}

impl Durations {
    pub fn record(&self, duration: Duration) {
        let nanos = duration.as_nanos() as u64;
        self.counts[BOUNDS.partition_point(|bound| bound * UNIT < nanos)].add(1);
        self.nanos.add(nanos);
    }

    pub fn snapshot(&self) -> Snapshot {
        let counts = array::from_fn(|bucket| self.counts[bucket].get());
        Snapshot { counts, sum: self.nanos.get() as f64 / 1e9 }
    }
}

impl Snapshot {
    /// Each bound, in seconds, with the number of durations up to it.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let mut below = 0;
        BOUNDS.iter().zip(self.counts).map(move |(bound, count)| {
            below += count;
            ((bound * UNIT) as f64 / 1e9, below)
        })
    }

    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The duration in seconds that this share of them does not exceed, as far as buckets tell: within its bucket they are
    /// taken for evenly spread, beyond the last bound for as long as that. `None` if there is none.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let wanted = share * self.count() as f64;
        let mut below = (0.0, 0);
        for (bound, count) in self.cumulative() {
            if count > below.1 && count as f64 >= wanted {
                let part = (wanted - below.1 as f64) / (count - below.1) as f64;
                return Some(below.0 + (bound - below.0) * part.max(0.0));
            }
            below = (bound, count);
        }
        (self.count() > 0).then_some(below.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(micros: &[u64]) -> Snapshot {
        let durations = Durations::default();
        micros.iter().for_each(|micros| durations.record(Duration::from_micros(*micros)));
        durations.snapshot()
    }

    #[test]
    fn a_bound_is_part_of_its_bucket() {
        let found = of(&[0, 10, 11, 50, 1_000_000_000]);
        assert_eq!(found.cumulative().take(2).collect::<Vec<_>>(), [(0.00001, 2), (0.00005, 4)]);
        assert_eq!(found.cumulative().last(), Some((100.0, 4)));
        assert_eq!((found.count(), found.sum), (5, 1000.000071));
    }

    #[test]
    fn bounds_grow() {
        assert!(BOUNDS.is_sorted());
    }

    #[test]
    fn a_quantile_lies_within_its_bucket() {
        assert_eq!(of(&[]).quantile(0.5), None);
        let found = of(&[400; 100]);
        assert_eq!(found.quantile(0.5), Some(0.00045));
        assert_eq!(found.quantile(1.0), Some(0.0006));
        assert_eq!(of(&[1_000_000_000]).quantile(0.5), Some(100.0));
        let mixed = of(&[&[20; 90][..], &[9_000; 10]].concat());
        assert!(mixed.quantile(0.5).unwrap() < 0.00005);
        assert!((0.008..0.01).contains(&mixed.quantile(0.95).unwrap()));
    }
}
