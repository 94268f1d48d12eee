//! What is counted, for whoever looks.

use super::refusal::Refusal;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How a route's limits stand.
#[derive(Debug, Clone, PartialEq)]
pub struct Numbers {
    /// Where there is a limit to what may be under way.
    pub crowd: Option<Crowd>,
    /// The share that is refused because too many fail, where that is looked at.
    pub shed: Option<f64>,
    /// By reason.
    pub refused: [(&'static str, u64); Refusal::REASONS.len()],
}

/// Requests of a route at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crowd {
    /// About so many may be under way.
    pub limit: usize,
    pub in_flight: usize,
    /// For their turn.
    pub waiting: usize,
}

/// Requests that were not let in.
#[derive(Debug, Default)]
pub struct Refused([AtomicU64; Refusal::REASONS.len()]);

impl Refused {
    pub fn count(&self, refusal: &Refusal) {
        self.0[refusal.reason()].fetch_add(1, Relaxed);
    }

    pub fn get(&self) -> [(&'static str, u64); Refusal::REASONS.len()] {
        std::array::from_fn(|index| (Refusal::REASONS[index], self.0[index].load(Relaxed)))
    }
}
