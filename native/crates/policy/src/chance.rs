//! Chance, for what must not happen to all at once. The same seed gives the same.

use rand_xoshiro::{
    Xoshiro256PlusPlus,
    rand_core::{Rng, SeedableRng},
};
use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

#[derive(Debug, Clone)]
pub struct Chance(Xoshiro256PlusPlus);

impl Chance {
    pub fn seeded(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// Evenly in [0, 1).
    pub fn unit(&mut self) -> f64 {
        // 53 bits are what a double holds.
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Evenly in [0, count); 0 if that is empty.
    pub fn below(&mut self, count: usize) -> usize {
        // The high half of a product is as even as anybody can tell, and needs no division: Lemire, "Fast
        // Random Integer Generation in an Interval", 2019, without its correction of a bias of count / 2^64.
        ((u128::from(self.0.next_u64()) * count as u128) >> 64) as usize
    }

    pub fn happens(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Evenly between the two.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        least + most.saturating_sub(least).mul_f64(self.unit())
    }

    /// Give or take this share of it, 0 to 1.
    pub fn around(&mut self, mean: Duration, share: f64) -> Duration {
        let seconds = mean.as_secs_f64() * (1.0 - share + 2.0 * share * self.unit());
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }
}

/// Seeded by what differs from process to process and from call to call.
impl Default for Chance {
    fn default() -> Self {
        Self::seeded(RandomState::new().build_hasher().finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_itself_and_a_default_does_not() {
        let draw = |mut chance: Chance| [chance.unit(), chance.unit(), chance.unit()];
        assert_eq!(draw(Chance::seeded(1)), draw(Chance::seeded(1)));
        assert_ne!(draw(Chance::seeded(1)), draw(Chance::seeded(2)));
        assert_ne!(draw(Chance::default()), draw(Chance::default()));
    }

    #[test]
    fn every_number_below_comes_equally_often() {
        let (mut chance, mut seen) = (Chance::seeded(7), [0; 5]);
        (0..50_000).for_each(|_| seen[chance.below(5)] += 1);
        assert!(seen.iter().all(|count| (9_500..10_500).contains(count)), "{seen:?}");
        assert_eq!((chance.below(0), chance.below(1)), (0, 0));
    }

    #[test]
    fn what_is_spread_stays_within_its_bounds_and_reaches_them() {
        let mut chance = Chance::seeded(7);
        let mean = Duration::from_secs(100);
        let drawn: Vec<f64> = (0..10_000).map(|_| chance.around(mean, 0.1).as_secs_f64()).collect();
        assert!(drawn.iter().all(|seconds| (90.0..=110.0).contains(seconds)));
        assert!(drawn.iter().any(|seconds| *seconds < 91.0) && drawn.iter().any(|seconds| *seconds > 109.0));
        let between = chance.between(Duration::from_millis(25), Duration::from_millis(25));
        assert_eq!(between, Duration::from_millis(25));
    }

    #[test]
    fn what_is_certain_happens_and_what_is_impossible_does_not() {
        let mut chance = Chance::seeded(7);
        assert!((0..1_000).all(|_| chance.happens(1.0) && !chance.happens(0.0)));
    }
}
