//! How often something may be done: a bucket of tokens for each key.
//!
//! A bucket is no more than the moment at which it will be full again: a token taken puts that off by the
//! time that a token takes to come back, and there is one as long as it is not further away than the whole
//! bucket. That is the generic cell rate algorithm (ITU-T I.371, the virtual scheduling form), and gives the
//! same answers as counting tokens.

use crate::settings::{Checked, at_least_one, holds};
use lru::LruCache;
use std::{
    hash::{BuildHasher, Hash, RandomState},
    num::NonZeroUsize,
    time::{Duration, Instant},
};

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Tokens that come back per second.
    pub rate: f64,
    /// Tokens of a full bucket: so many may be taken at once.
    pub burst: u32,
    /// Buckets at a time. What was not used for the longest time makes room, and is full when it is used
    /// again.
    pub keys: usize,
}

impl Settings {
    /// A second's tokens may be taken at once; 10,000 keys.
    pub fn per_second(rate: f64) -> Self {
        // The cast keeps to the bounds of u32.
        Self { rate, burst: (rate.ceil() as u32).max(1), keys: 10_000 }
    }

    /// Fails with the field, what was found and what is expected.
    pub fn check(&self) -> Checked {
        holds("rate", self.rate, "0.000001 to 1,000,000,000", (1e-6..=1e9).contains(&self.rate))?;
        at_least_one("burst", self.burst)?;
        holds("keys", self.keys, "at least 1", self.keys > 0)
    }
}

/// Buckets by key.
#[derive(Debug)]
pub struct Limiter {
    /// Between two tokens that come back.
    interval: Duration,
    /// Until an empty bucket is full.
    refill: Duration,
    /// Keys come from callers, and may be long: they are known by a hash whose key no caller knows.
    hasher: RandomState,
    full_at: LruCache<u64, Instant>,
}

impl Limiter {
    pub fn new(settings: &Settings) -> Self {
        let interval = Duration::from_secs_f64(1.0 / settings.rate);
        Self {
            interval,
            refill: interval.saturating_mul(settings.burst),
            hasher: RandomState::new(),
            full_at: LruCache::sparse(NonZeroUsize::new(settings.keys).unwrap_or(NonZeroUsize::MIN)),
        }
    }

    /// Takes a token, or fails with the time until there is one.
    pub fn take(&mut self, key: &(impl Hash + ?Sized), now: Instant) -> Result<(), Duration> {
        let full_at = self.full_at.get_or_insert_mut(self.hasher.hash_one(key), || now);
        let after = (*full_at).max(now) + self.interval;
        let wait = after.saturating_duration_since(now + self.refill);
        if wait.is_zero() {
            *full_at = after;
            Ok(())
        } else {
            Err(wait)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: Duration = Duration::from_millis(1);

    fn limiter(rate: f64, burst: u32, keys: usize) -> Limiter {
        Limiter::new(&Settings { rate, burst, keys })
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let (mut limiter, mut now) = (limiter(10.0, 3, 1), Instant::now());
        assert!((0..3).all(|_| limiter.take("a", now).is_ok()));
        assert_eq!(limiter.take("a", now), Err(MS * 100));
        let passed = (0..1_000).filter(|_| {
            now += MS * 10;
            limiter.take("a", now).is_ok()
        });
        assert_eq!(passed.count(), 100);
    }

    #[test]
    fn who_comes_again_after_the_time_he_was_told_is_let_through() {
        let (mut limiter, now) = (limiter(8.0, 2, 1), Instant::now());
        (0..2).for_each(|_| limiter.take("a", now).unwrap());
        let wait = limiter.take("a", now + MS * 50).unwrap_err();
        assert_eq!(wait, MS * 75);
        let then = now + MS * 50 + wait;
        assert!(limiter.take("a", then - MS).is_err());
        assert_eq!(limiter.take("a", then), Ok(()));
    }

    #[test]
    fn a_refusal_costs_nothing_and_rest_fills_no_more_than_the_bucket() {
        let (mut limiter, now) = (limiter(1.0, 5, 1), Instant::now());
        (0..5).for_each(|_| limiter.take("a", now).unwrap());
        (0..1_000).for_each(|_| assert_eq!(limiter.take("a", now), Err(MS * 1_000)));
        let later = now + Duration::from_secs(3_600);
        assert_eq!((0..10).filter(|_| limiter.take("a", later).is_ok()).count(), 5);
    }

    #[test]
    fn each_key_has_its_own() {
        let (mut limiter, now) = (limiter(1.0, 1, 10), Instant::now());
        assert!(limiter.take("a", now).is_ok() && limiter.take("b", now).is_ok());
        assert!(limiter.take("a", now).is_err() && limiter.take(&7, now).is_ok());
    }

    #[test]
    fn no_more_than_so_many_keys_are_kept_and_the_least_used_goes() {
        let (mut limiter, now) = (limiter(1.0, 1, 100), Instant::now());
        limiter.take("busy", now).unwrap();
        for stranger in 0..10_000 {
            limiter.take(&stranger, now).unwrap();
            if stranger % 50 == 0 {
                assert!(limiter.take("busy", now).is_err());
            }
        }
        assert_eq!(limiter.full_at.len(), 100);
    }

    #[test]
    fn settings_that_are_wrong_say_so() {
        assert_eq!(Settings::per_second(0.1), Settings { rate: 0.1, burst: 1, keys: 10_000 });
        assert_eq!(Settings::per_second(250.5).burst, 251);
        let right = Settings::per_second(5.0);
        assert_eq!(right.check(), Ok(()));
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let said = Settings { rate, ..right.clone() }.check().unwrap_err();
            assert_eq!(said, format!("rate is {rate:?}: expected 0.000001 to 1,000,000,000"));
        }
        let said = Settings { burst: 0, ..right.clone() }.check().unwrap_err();
        assert_eq!(said, "burst is 0: expected at least 1");
        assert_eq!(Settings { keys: 0, ..right }.check().unwrap_err(), "keys is 0: expected at least 1");
        // The slowest and largest that is allowed.
        let (mut limiter, now) = (limiter(1e-6, u32::MAX, 1), Instant::now());
        assert!((0..100).all(|_| limiter.take("a", now).is_ok()));
    }

    proptest! {
        /// In no time more than the burst and what came back in it.
        #[test]
        fn it_never_lets_more_through(
            gaps in prop::collection::vec(0u64..100, 1..300),
            rate in 1.0..200.0f64,
            burst in 1u32..20,
        ) {
            let (mut limiter, start) = (limiter(rate, burst, 1), Instant::now());
            let mut now = start;
            let mut passed = Vec::new();
            for gap in gaps {
                now += MS * gap as u32;
                if limiter.take("a", now).is_ok() {
                    passed.push(now);
                }
            }
            for (index, first) in passed.iter().enumerate() {
                for (count, last) in passed[index..].iter().enumerate() {
                    let allowed = f64::from(burst) + rate * (*last - *first).as_secs_f64();
                    prop_assert!((count + 1) as f64 <= allowed + 1e-3);
                }
            }
        }
    }
}
