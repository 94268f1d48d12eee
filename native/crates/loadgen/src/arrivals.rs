//! When requests are due in an open loop. Pure: the same seed gives the same moments.

use rand::SeedableRng;
use rand_distr::{Distribution, Exp};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::sync::Arc;

/// Moments in nanoseconds since the start, ascending, without end.
#[derive(Debug, Clone)]
pub enum Schedule {
    /// Multiples of the `step` of the whole plan, of which this thread has every `stride`th. Adding the step up would add
    /// up its rounding.
    Constant { number: u64, stride: u64, step: f64 },
    /// Exponential gaps: the sum of independent Poisson processes is one, so each thread has its own.
    Poisson { next: f64, gaps: Exp<f64>, random: Box<Xoshiro256PlusPlus> },
    /// Recorded gaps, from the beginning again after the last.
    Replay { gaps: Arc<[u64]>, position: usize, stride: usize, next: u64 },
}

impl Schedule {
    /// Thread `index` of `threads` has its part of `rate` requests per second.
    pub fn constant(rate: f64, index: usize, threads: usize) -> Self {
        // The first is not due at once: nothing begins with a burst.
        Self::Constant { number: index as u64 + 1, stride: threads as u64, step: 1e9 / rate }
    }

    pub fn poisson(rate: f64, index: usize, threads: usize, seed: u64) -> Self {
        let mut random = Box::new(Xoshiro256PlusPlus::seed_from_u64(seed));
        for _ in 0..index {
            random.jump();
        }
        #[allow(clippy::expect_used)]
        let gaps = Exp::new(rate / threads as f64 / 1e9).expect("a plan's rate is above zero");
        let next = gaps.sample(&mut random);
        Self::Poisson { next, gaps, random }
    }

    pub fn replay(gaps: Arc<[u64]>, index: usize, threads: usize) -> Self {
        let mut schedule = Self::Replay { gaps, position: 0, stride: 1, next: 0 };
        for _ in 0..=index {
            schedule.advance();
        }
        if let Self::Replay { stride, .. } = &mut schedule {
            *stride = threads;
        }
        schedule
    }

    /// When the next request is due.
    #[inline]
    pub fn next(&self) -> u64 {
        match self {
            Self::Constant { number, step, .. } => (*number as f64 * step) as u64,
            Self::Poisson { next, .. } => *next as u64,
            Self::Replay { next, .. } => *next,
        }
    }

    /// The request after that one is the next.
    #[inline]
    pub fn advance(&mut self) {
        match self {
            Self::Constant { number, stride, .. } => *number += *stride,
            Self::Poisson { next, gaps, random } => *next += gaps.sample(random.as_mut()),
            Self::Replay { gaps, position, stride, next } => {
                for _ in 0..*stride {
                    *next = next.saturating_add(gaps[*position]);
                    *position = (*position + 1) % gaps.len();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(mut schedule: Schedule, count: usize) -> Vec<u64> {
        (0..count)
            .map(|_| {
                let next = schedule.next();
                schedule.advance();
                next
            })
            .collect()
    }

    #[test]
    fn threads_share_a_constant_rate_in_turns() {
        let whole = moments(Schedule::constant(1_000.0, 0, 1), 6);
        assert_eq!(whole, [1_000_000, 2_000_000, 3_000_000, 4_000_000, 5_000_000, 6_000_000]);
        let mut parts = moments(Schedule::constant(1_000.0, 0, 2), 3);
        parts.extend(moments(Schedule::constant(1_000.0, 1, 2), 3));
        parts.sort_unstable();
        assert_eq!(parts, whole);
    }

    #[test]
    fn poisson_is_random_by_its_seed_and_exponential() {
        let one = moments(Schedule::poisson(10_000.0, 0, 1, 7), 100_000);
        assert_eq!(one, moments(Schedule::poisson(10_000.0, 0, 1, 7), 100_000));
        assert_ne!(one[..10], moments(Schedule::poisson(10_000.0, 0, 1, 8), 10));
        assert_ne!(
            moments(Schedule::poisson(10_000.0, 0, 2, 7), 10),
            moments(Schedule::poisson(10_000.0, 1, 2, 7), 10)
        );
        let gaps: Vec<f64> = one.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((mean / 100_000.0 - 1.0).abs() < 0.02, "{mean}");
        // An exponential's deviation is its mean.
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.02, "{}", variance.sqrt() / mean);
    }

    #[test]
    fn recorded_gaps_begin_again() {
        let gaps: Arc<[u64]> = Arc::from([10, 20, 30]);
        let whole = moments(Schedule::replay(gaps.clone(), 0, 1), 7);
        assert_eq!(whole, [10, 30, 60, 70, 90, 120, 130]);
        assert_eq!(moments(Schedule::replay(gaps.clone(), 0, 2), 3), [10, 60, 90]);
        assert_eq!(moments(Schedule::replay(gaps, 1, 2), 3), [30, 70, 120]);
    }
}
