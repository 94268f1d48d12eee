//! How many requests may be in flight: a limit that follows what the upstream takes.
//!
//! The usual ways to find it (TCP Vegas, Netflix's and Envoy's gradient) take all latency above its minimum
//! for a queue. A server that batches is not like that. A batch takes `fixed + each * size`, so latency rises
//! while throughput still does, and the minimum is that of a small batch: held to it, the limit stays where
//! batches are small, at half to two thirds of the throughput. Here latency is therefore judged by what was
//! gained with it. The limit is tried a tenth below and a tenth above, in turns, and from the mean latencies
//! of both follows by which power of the concurrency latency grows:
//!
//! ```text
//! elasticity = ln(latency above / latency below) / ln(in flight above / in flight below)
//! limit     *= exp(gain * (0.8 - elasticity))
//! ```
//!
//! Throughput is what is in flight through its latency (Little's law), so it grows by the power that is left.
//! Elasticity is 0 where more in flight take no longer and 1 where all that is more just waits. The limit
//! settles at 0.8, where five in a hundred more in flight bring one in a hundred more answers. It is the
//! maximum of Kleinrock's power, throughput^4 / latency (*Power and deterministic rules of thumb for
//! probabilistic problems in computer communications*, 1979). With workers that do not batch that is where
//! all of them are busy, with batches where a batch costs five times its fixed part, or where there are
//! enough for the largest batch to be full.
//!
//! - Levels are what is in flight on average over a window: a batch's answers come together and are followed
//!   by as many requests, so the number at a request's arrival says little about its company.
//! - What may be chance counts for less: a change is divided by one and the square of its standard error. The
//!   gain falls when the direction turns and rises while it stays (Rprop: Riedmiller and Braun, 1993).
//! - A limit that is not reached is left alone: nothing is known of a level where nobody was.
//! - At first it doubles or halves (`search`) rather than moving by parts.
//!
//! Where others use the same upstream, each gains by having more in flight than they, and all of them
//! together only wait. So a limit also shrinks if the wait is too long by itself. An upstream that tells the
//! time in its queue is believed: while a batch runs the next one waits, so up to about as long as its
//! execution is in order. Else the mean latency is held against the least one of the last minutes; ten times
//! as long is what batches need, and so only a loose bound.

mod search;
#[cfg(test)]
mod tests;
mod window;

use crate::settings::{Checked, holds};
use search::{Search, Step};
use std::time::{Duration, Instant};
use window::{Seen, Window};

/// Where a limit begins.
const INITIAL: usize = 16;

/// The elasticity at which more in flight is no longer worth it.
const WORTH: f64 = 0.8;

/// How far below and above the limit is tried, as a share of it.
const DISTANCE: f64 = 0.1;

/// In flight as a share of what may be, from which on the limit is what holds it back.
const REACHED: f64 = 0.8;

/// Levels closer than this say nothing about each other.
const LEAST_RATIO: f64 = 1.05;

/// The doubt about a latency at which a window ends, in a search, where levels are far apart, and after it.
const SEARCH_DOUBT: f64 = 0.1;
const DOUBT: f64 = 0.04;

const FIRST_GAIN: f64 = 0.25;
const LEAST_GAIN: f64 = 0.1;
const MOST_GAIN: f64 = 1.0;

/// Time in the upstream's queue, as a share of the time after it, beyond which it is too long.
const MOST_QUEUED: f64 = 1.25;

/// A latency, in terms of the least one, that cannot come from batches alone: with a fixed part of one, five
/// at the limit, and twice as much because a request may come just after a batch has begun.
const MOST_SLOWER: f64 = 10.0;

/// The least latency counts twice after this time without a smaller one: an upstream may have become slower
/// for good.
const FORGET: Duration = Duration::from_secs(600);

/// What is left of the limit when the upstream refused a request for want of room.
const BACK_OFF: f64 = 0.7;

/// Between which numbers the limit stays; equal ones fix it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub min: usize,
    pub max: usize,
}

impl Default for Settings {
    /// 3 to 1,000.
    fn default() -> Self {
        Self { min: 3, max: 1_000 }
    }
}

impl Settings {
    /// Fails with the field, what was found and what is expected.
    pub fn check(&self) -> Checked {
        holds("min", self.min, "at least 1", self.min > 0)?;
        holds("max", self.max, &format!("no less than min, which is {}", self.min), self.max >= self.min)
    }
}

/// How a request ended that was in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was answered, so long after it was sent; `queued` is what it spent in the upstream's queue, if that
    /// is told.
    Answered { latency: Duration, queued: Option<Duration> },
    /// The upstream refused it for want of room, or did not answer it within a time that is always enough.
    Dropped { latency: Duration },
    /// It failed or was given up, which says nothing about how busy the upstream is.
    Otherwise,
}

/// Requests in flight and how many there may be.
#[derive(Debug)]
pub struct Limit {
    settings: Settings,
    limit: f64,
    in_flight: usize,
    phase: Phase,
    window: Window,
    gain: f64,
    grew: bool,
    /// The least mean latency in seconds, as it was worth at that moment.
    least: Option<(f64, Instant)>,
    backed_off: Instant,
}

/// What the window under way is for.
#[derive(Debug)]
enum Phase {
    /// To find about where the limit is.
    Search(Search),
    /// To see whether it is reached.
    Watch,
    /// To compare it from below...
    Low,
    /// ...and from above.
    High(Seen),
}

impl Limit {
    pub fn new(settings: Settings, now: Instant) -> Self {
        let initial = INITIAL.clamp(settings.min, settings.max);
        Self {
            settings,
            limit: initial as f64,
            in_flight: 0,
            phase: Phase::Search(Search::default()),
            window: Window::new(initial, 0, now),
            gain: FIRST_GAIN,
            grew: true,
            least: None,
            backed_off: now,
        }
    }

    /// About how many may be in flight.
    pub fn limit(&self) -> usize {
        self.limit.round() as usize
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub fn has_room(&self) -> bool {
        self.in_flight < self.window.cap
    }

    /// Whether there is room for one more, which then is in flight until it is released.
    pub fn acquire(&mut self, now: Instant) -> bool {
        let has_room = self.has_room();
        if has_room {
            self.in_flight += 1;
            self.window.becomes(self.in_flight, now);
        }
        has_room
    }

    /// One that was in flight ended. More than one may have room after it, if the limit grew.
    pub fn release(&mut self, ended: Ended, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.window.becomes(self.in_flight, now);
        match ended {
            Ended::Answered { latency, queued } => self.answered(latency, queued, now),
            Ended::Dropped { latency } => self.dropped(latency, now),
            Ended::Otherwise => {}
        }
    }

    fn answered(&mut self, latency: Duration, queued: Option<Duration>, now: Instant) {
        self.window.answered(latency, queued, now);
        let doubt = if matches!(self.phase, Phase::Search(_)) { SEARCH_DOUBT } else { DOUBT };
        if self.window.is_full(doubt) {
            let phase = self.window.seen().map_or(Phase::Watch, |seen| self.next(seen, now));
            self.begin(phase, now);
        }
    }

    /// Those that were sent before the last time was known are part of the same overload.
    fn dropped(&mut self, latency: Duration, now: Instant) {
        if latency < now.saturating_duration_since(self.backed_off) {
            self.backed_off = now;
            self.set(self.limit * BACK_OFF);
            self.begin(Phase::Watch, now);
        }
    }

    /// What comes after a window.
    fn next(&mut self, seen: Seen, now: Instant) -> Phase {
        self.remember(seen.latency, now);
        let is_reached = seen.level >= REACHED * self.window.cap as f64;
        match std::mem::replace(&mut self.phase, Phase::Watch) {
            _ if !is_reached => Phase::Watch,
            Phase::Search(search) => self.search(search, seen),
            Phase::Watch => Phase::Low,
            Phase::Low => Phase::High(seen),
            Phase::High(low) => self.compare(low, seen, now),
        }
    }

    fn search(&mut self, mut search: Search, seen: Seen) -> Phase {
        let before = self.limit;
        let is_worth_it =
            |low: &Seen, high: &Seen| low.elasticity(high).0 < WORTH && !self.is_congested(high);
        match search.step(seen, is_worth_it) {
            Step::Try(limit) => self.set(limit),
            Step::Settle(limit) => {
                self.set(limit);
                return Phase::Low;
            }
        }
        if self.limit == before { Phase::Low } else { Phase::Search(search) }
    }

    fn compare(&mut self, low: Seen, high: Seen, now: Instant) -> Phase {
        if self.is_congested(&high) {
            self.move_by(-WORTH, 0.0);
            if self.limit <= self.settings.min as f64 && high.queued.is_none() {
                // With as few in flight it is no queue of ours: the upstream takes so long now.
                self.least = Some((high.latency, now));
                return Phase::Search(Search::default());
            }
        } else if high.level >= LEAST_RATIO * low.level {
            let (elasticity, doubt) = low.elasticity(&high);
            self.move_by((WORTH - elasticity).clamp(-WORTH, WORTH), doubt);
        }
        Phase::Low
    }

    fn move_by(&mut self, worth: f64, doubt: f64) {
        if worth.abs() > doubt {
            let grows = worth > 0.0;
            self.gain *= if grows == self.grew { 1.25 } else { 0.5 };
            self.gain = self.gain.clamp(LEAST_GAIN, MOST_GAIN);
            self.grew = grows;
        }
        self.set(self.limit * (self.gain * worth / (1.0 + doubt * doubt)).exp());
    }

    fn set(&mut self, limit: f64) {
        self.limit = limit.clamp(self.settings.min as f64, self.settings.max as f64);
    }

    fn begin(&mut self, phase: Phase, now: Instant) {
        let cap = match phase {
            Phase::Search(_) | Phase::Watch => self.limit.round(),
            Phase::Low => (self.limit * (1.0 - DISTANCE)).floor(),
            Phase::High(_) => (self.limit * (1.0 + DISTANCE)).ceil(),
        };
        let cap = (cap as usize).clamp(self.settings.min, self.settings.max);
        self.phase = phase;
        self.window = Window::new(cap, self.in_flight, now);
    }

    /// Whether requests wait for longer than any batches would make them.
    fn is_congested(&self, seen: &Seen) -> bool {
        match seen.queued {
            Some(queued) => queued > MOST_QUEUED * (seen.latency - queued),
            None => self.least.is_some_and(|(least, _)| seen.latency > MOST_SLOWER * least),
        }
    }

    fn remember(&mut self, latency: f64, now: Instant) {
        let least = self.least.map_or(latency, |(least, then)| {
            let age = now.saturating_duration_since(then);
            latency.min(least * age.div_duration_f64(FORGET).exp2())
        });
        self.least = Some((least, now));
    }
}
