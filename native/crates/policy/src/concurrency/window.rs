//! What was seen while a number of requests was answered.

use std::time::{Duration, Instant};

/// Stretches of a window: at least, and at most where their means still differ a lot.
const LEAST: usize = 10;
const MOST: usize = 30;

/// Requests in flight, and how long those took that began and ended within it. Latencies are collected in
/// stretches of about as many answers as are in flight at a time; how much the means of the stretches differ
/// says how far their mean is to be trusted, also where the answers of a batch are all alike (the method of
/// batch means: Law and Kelton, *Simulation Modeling and Analysis*).
#[derive(Debug)]
pub struct Window {
    /// So many may be in flight while it lasts.
    pub cap: usize,
    began: Instant,
    /// In flight since `looked`, and requests times seconds until then.
    in_flight: usize,
    looked: Instant,
    area: f64,
    /// Answers and their seconds of the stretch that is under way.
    answers: usize,
    seconds: f64,
    /// Those before: their number, their means and the squares of these.
    stretches: usize,
    means: f64,
    squares: f64,
    /// Answers that say how long they waited in the upstream's queue, and that time.
    told: usize,
    queued: f64,
}

/// What a window comes to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    /// Requests in flight, on average over time.
    pub level: f64,
    /// Seconds, on average over answers.
    pub latency: f64,
    /// By how much that may well be wrong (its standard error), as a share of it.
    pub doubt: f64,
    /// Seconds of the latency that passed in the upstream's queue, if most answers say so.
    pub queued: Option<f64>,
}

impl Window {
    pub fn new(cap: usize, in_flight: usize, now: Instant) -> Self {
        Self {
            cap,
            began: now,
            in_flight,
            looked: now,
            area: 0.0,
            answers: 0,
            seconds: 0.0,
            stretches: 0,
            means: 0.0,
            squares: 0.0,
            told: 0,
            queued: 0.0,
        }
    }

    /// From now on so many are in flight.
    pub fn becomes(&mut self, in_flight: usize, now: Instant) {
        self.area += self.in_flight as f64 * now.saturating_duration_since(self.looked).as_secs_f64();
        self.in_flight = in_flight;
        self.looked = self.looked.max(now);
    }

    /// One was answered. It counts if it began within the window: else it says more about the one before.
    pub fn answered(&mut self, latency: Duration, queued: Option<Duration>, now: Instant) {
        if latency > now.saturating_duration_since(self.began) {
            return;
        }
        self.answers += 1;
        self.seconds += latency.as_secs_f64();
        if let Some(queued) = queued {
            self.told += 1;
            self.queued += queued.min(latency).as_secs_f64();
        }
        if self.answers >= self.cap {
            let mean = self.seconds / self.answers as f64;
            self.stretches += 1;
            self.means += mean;
            self.squares += mean * mean;
            (self.answers, self.seconds) = (0, 0.0);
        }
    }

    /// Whether it has lasted long enough to leave no more than this doubt, or as long as it may.
    pub fn is_full(&self, doubt: f64) -> bool {
        // Nothing is known of the doubt between two stretches.
        self.answers == 0 && self.stretches >= LEAST && (self.stretches >= MOST || self.doubt() <= doubt)
    }

    /// What was seen until the last call of `becomes`; `None` is nothing.
    pub fn seen(&self) -> Option<Seen> {
        let time = self.looked.saturating_duration_since(self.began).as_secs_f64();
        let told = self.told as f64;
        let seen = Seen {
            level: self.area / time,
            latency: self.means / self.stretches as f64,
            doubt: self.doubt(),
            queued: (2 * self.told > self.stretches * self.cap).then(|| self.queued / told),
        };
        (seen.level > 0.0 && seen.latency > 0.0).then_some(seen)
    }

    fn doubt(&self) -> f64 {
        let count = self.stretches as f64;
        let mean = self.means / count;
        let variance = (self.squares / count - mean * mean).max(0.0) / (count - 1.0);
        variance.sqrt() / mean
    }
}

impl Seen {
    /// By which power of the concurrency latency grows from here to a higher level: 0 where more in flight
    /// take no longer, 1 where all that is more waits. And by how much that may well be wrong.
    pub fn elasticity(&self, higher: &Self) -> (f64, f64) {
        let distance = (higher.level / self.level).ln();
        let slope = (higher.latency / self.latency).ln() / distance;
        (slope, self.doubt.hypot(higher.doubt) / distance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_level_is_an_average_over_time() {
        let start = Instant::now();
        let mut window = Window::new(2, 0, start);
        window.becomes(4, start + MS * 10);
        window.becomes(1, start + MS * 30);
        (0..20).for_each(|_| window.answered(MS, None, start + MS * 30));
        window.becomes(0, start + MS * 40);
        assert!((window.seen().unwrap().level - (4.0 * 20.0 + 10.0) / 40.0).abs() < 1e-9);
    }

    #[test]
    fn what_began_before_does_not_count() {
        let start = Instant::now();
        let mut window = Window::new(1, 1, start);
        window.becomes(1, start + MS * 10);
        for latency in [2, 11, 900, 4] {
            window.answered(MS * latency, None, start + MS * 10);
        }
        assert!((window.seen().unwrap().latency - 0.003).abs() < 1e-9);
    }

    #[test]
    fn it_lasts_until_the_doubt_is_small_or_for_thirty_stretches() {
        for (spread, expected) in [(0, 10), (2, 18), (8, 30)] {
            let start = Instant::now();
            let mut window = Window::new(4, 0, start);
            let mut answers = 0;
            while !window.is_full(0.05) {
                // Alike within a stretch, as in a batch.
                let latency = 10 - spread + 2 * spread * (answers / 4 % 2);
                window.answered(MS * latency, None, start + MS * 100);
                answers += 1;
            }
            assert_eq!(answers, 4 * expected);
        }
    }

    #[test]
    fn the_queue_is_known_if_most_answers_tell_it() {
        for (told, expected) in [(10, None), (20, Some(0.25))] {
            let start = Instant::now();
            let mut window = Window::new(2, 1, start);
            window.becomes(1, start + MS * 1_000);
            (0..20).for_each(|at| {
                window.answered(MS * 500, (at < told).then_some(MS * 250), start + MS * 1_000)
            });
            assert_eq!(window.seen().unwrap().queued, expected);
        }
    }

    #[test]
    fn nothing_is_seen_of_nothing() {
        let now = Instant::now();
        assert_eq!(Window::new(3, 0, now).seen(), None);
        let mut window = Window::new(3, 2, now);
        window.becomes(1, now + MS);
        assert_eq!(window.seen(), None);
    }

    #[test]
    fn elasticity_is_the_power_by_which_latency_grows() {
        let seen = |level, latency| Seen { level, latency, doubt: 0.03, queued: None };
        for (latency, expected) in [(1.0, 0.0), (2.0, 0.5), (4.0, 1.0)] {
            let (slope, doubt) = seen(5.0, 1.0).elasticity(&seen(20.0, latency));
            assert!((slope - expected).abs() < 1e-9);
            assert!((doubt - 0.03 * 2f64.sqrt() / 4f64.ln()).abs() < 1e-9);
        }
    }
}
