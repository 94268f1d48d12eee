//! Counts over exponential bounds, cheap enough to be kept for every request.

/// `BUCKETS` counts: the bounds are `FIRST`, twice that and so on, each inclusive, and the last bucket has none.
#[derive(Debug, Clone)]
pub struct Histogram<const FIRST: u64, const BUCKETS: usize> {
    counts: [u64; BUCKETS],
    sum: u64,
}

/// Nanoseconds: 16 us to 33.6 s.
pub type Durations = Histogram<16_000, 23>;

/// 1 to 4,096.
pub type Sizes = Histogram<1, 14>;

impl<const FIRST: u64, const BUCKETS: usize> Default for Histogram<FIRST, BUCKETS> {
    fn default() -> Self {
        Self { counts: [0; BUCKETS], sum: 0 }
    }
}

impl<const FIRST: u64, const BUCKETS: usize> Histogram<FIRST, BUCKETS> {
    pub fn record(&mut self, value: u64) {
        let doublings = u64::BITS - (value.saturating_sub(1) / FIRST).leading_zeros();
        self.counts[(doublings as usize).min(BUCKETS - 1)] += 1;
        self.sum += value;
    }

    /// Each bound with the number of values up to it. The last bucket, which has no bound, is `count`.
    pub fn cumulative(&self) -> impl Iterator<Item = (u64, u64)> {
        let mut below = 0;
        self.counts[..BUCKETS - 1].iter().enumerate().map(move |(index, count)| {
            below += count;
            (FIRST << index, below)
        })
    }

    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub fn sum(&self) -> u64 {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_part_of_its_bucket() {
        let mut histogram = Histogram::<10, 4>::default();
        for value in [0, 10, 11, 20, 21, 40, 41, 1 << 60] {
            histogram.record(value);
        }
        assert_eq!(histogram.cumulative().collect::<Vec<_>>(), [(10, 2), (20, 4), (40, 6)]);
        assert_eq!((histogram.count(), histogram.sum()), (8, 143 + (1 << 60)));
    }

    #[test]
    fn sizes_are_told_apart_by_powers_of_two() {
        let mut sizes = Sizes::default();
        (1..=4).for_each(|rows| sizes.record(rows));
        assert_eq!(sizes.cumulative().take(3).collect::<Vec<_>>(), [(1, 1), (2, 2), (4, 4)]);
    }
}
