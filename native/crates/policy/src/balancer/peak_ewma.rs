//! How long the next request to an endpoint is likely to take.
//!
//! The peak-sensitive moving average of Finagle (`Ewma`) and tower (`PeakEwma`): a latency above the average
//! replaces it, one below lowers it as fast as the time constant allows; the cost is that times the requests
//! under way. Three additions. A failure adds a penalty, or else fast refusals would attract the traffic.
//! Linkerd takes it for a latency; here it has a shorter memory of its own, because with that of latencies a
//! single failure among fast answers keeps an endpoint idle for half a minute. An endpoint that is asked and
//! says nothing is at least as slow as it has been silent: a frozen one is left after milliseconds, not after
//! a timeout. And one that was never asked costs nothing until it has its first request, so that a new one is
//! found out about at once, and by one request.

use crate::{
    outcome::{Class, Life, Outcome},
    settings::{self, Checked},
};
use std::time::{Duration, Instant};

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// What is assumed of an endpoint that has not answered yet.
    pub default_rtt: Duration,
    /// The time in which the average forgets all but 37 %.
    pub decay: Duration,
    /// After an overload it is assumed to take so much longer.
    pub overload_penalty: Duration,
    /// After any other failure.
    pub failure_penalty: Duration,
    /// The time in which a penalty is forgotten but for 37 %. Where answers take some 10 ms, an endpoint is
    /// asked again after five to six times this.
    pub penalty_decay: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            default_rtt: Duration::from_millis(30),
            decay: Duration::from_secs(10),
            overload_penalty: Duration::from_secs(5),
            failure_penalty: Duration::from_secs(1),
            penalty_decay: Duration::from_secs(1),
        }
    }
}

impl Settings {
    pub fn check(&self) -> Checked {
        settings::above_zero("default_rtt", self.default_rtt)?;
        settings::above_zero("decay", self.decay)?;
        settings::above_zero("penalty_decay", self.penalty_decay)
    }
}

/// What is known of one endpoint.
#[derive(Debug)]
pub struct Load {
    settings: Settings,
    /// Of its latencies; `None` until it has answered.
    average: Option<Fading>,
    penalty: Option<Fading>,
    /// Requests under way.
    pending: u32,
    /// Of these, the ones of which nothing has come back.
    waiting: u32,
    /// Since when something is waited for and nothing comes.
    silent: Instant,
}

/// Seconds, as they were then: they become less with time.
#[derive(Debug, Clone, Copy)]
struct Fading {
    seconds: f64,
    since: Instant,
}

impl Fading {
    /// What is left of it by now.
    fn left(self, now: Instant, decay: Duration) -> f64 {
        self.seconds * kept(now.saturating_duration_since(self.since), decay)
    }
}

/// The share that is left after so long.
fn kept(passed: Duration, decay: Duration) -> f64 {
    (-passed.as_secs_f64() / decay.as_secs_f64()).exp()
}

/// A request under way: to be given back to `end`, on every path.
#[derive(Debug)]
#[must_use]
pub struct Flight {
    since: Instant,
    /// After this time its answer began.
    answered: Option<Duration>,
}

impl Load {
    pub fn new(now: Instant, settings: Settings) -> Self {
        Self { settings, average: None, penalty: None, pending: 0, waiting: 0, silent: now }
    }

    /// Lower is better; without a unit.
    pub fn cost(&self, now: Instant) -> f64 {
        let silence = match self.waiting {
            0 => 0.0,
            _ => now.saturating_duration_since(self.silent).as_secs_f64(),
        };
        // The average is forgotten also while nothing happens, or else one that was slow would never be asked
        // again.
        let average = match (self.average, self.pending) {
            (Some(average), _) => average.left(now, self.settings.decay),
            (None, 0) => 0.0,
            (None, _) => self.settings.default_rtt.as_secs_f64(),
        };
        let penalty = self.penalty.map_or(0.0, |penalty| penalty.left(now, self.settings.penalty_decay));
        (average.max(silence) + penalty) * f64::from(self.pending + 1)
    }

    pub fn pending(&self) -> u32 {
        self.pending
    }

    /// A request is sent.
    pub fn start(&mut self, now: Instant) -> Flight {
        if self.waiting == 0 {
            self.silent = now;
        }
        self.pending += 1;
        self.waiting += 1;
        Flight { since: now, answered: None }
    }

    /// Its answer begins: for those that take long to be sent, such as streams, whose length says nothing of
    /// the endpoint.
    pub fn answer(&mut self, now: Instant, flight: &mut Flight) {
        if flight.answered.is_none() {
            flight.answered = Some(now.saturating_duration_since(flight.since));
            self.waiting -= 1;
            self.silent = now;
        }
    }

    /// It has ended.
    pub fn end(&mut self, now: Instant, flight: Flight, outcome: Outcome) {
        self.pending -= 1;
        if flight.answered.is_none() {
            self.waiting -= 1;
        }
        if outcome.life == Life::Sign {
            self.silent = now;
        }
        let latency = flight.answered.unwrap_or_else(|| now.saturating_duration_since(flight.since));
        match outcome.class {
            Class::Success => self.observe(now, latency),
            Class::Failure => self.penalise(now, latency.max(self.settings.failure_penalty)),
            Class::Overload => self.penalise(now, latency.max(self.settings.overload_penalty)),
            Class::Ignored => {}
        }
    }

    /// What is known holds no longer, because the endpoint was left alone for a while (breaker, ejection,
    /// health): it is as good as new, and finding out about it is not left to what it was.
    pub fn forget(&mut self) {
        (self.average, self.penalty) = (None, None);
    }

    fn observe(&mut self, now: Instant, latency: Duration) {
        let (sample, decay) = (latency.as_secs_f64(), self.settings.decay);
        let seconds = match self.average {
            Some(average) if average.seconds > sample => {
                let kept = kept(now.saturating_duration_since(average.since), decay);
                average.seconds * kept + sample * (1.0 - kept)
            }
            _ => sample,
        };
        self.average = Some(Fading { seconds, since: now });
    }

    fn penalise(&mut self, now: Instant, penalty: Duration) {
        let left = self.penalty.map_or(0.0, |penalty| penalty.left(now, self.settings.penalty_decay));
        self.penalty = Some(Fading { seconds: penalty.as_secs_f64().max(left), since: now });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Event;

    const SECOND: Duration = Duration::from_secs(1);

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn load(now: Instant) -> Load {
        Load::new(now, Settings::default())
    }

    /// One request that takes so long and ends like this; when that is.
    fn one(load: &mut Load, now: Instant, took: Duration, event: Event) -> Instant {
        let flight = load.start(now);
        load.end(now + took, flight, event.into());
        now + took
    }

    /// The cost of an idle endpoint, in milliseconds.
    fn cost(load: &Load, now: Instant) -> f64 {
        (load.cost(now) * 1e6).round() / 1e3
    }

    #[test]
    fn a_new_endpoint_gets_one_request_before_anything_is_known_of_it() {
        let now = Instant::now();
        let mut load = load(now);
        assert_eq!(cost(&load, now), 0.0);
        let first = load.start(now);
        assert_eq!(cost(&load, now), 60.0);
        load.end(now + millis(2), first, Event::Grpc(0).into());
        assert_eq!(cost(&load, now + millis(2)), 2.0);
    }

    #[test]
    fn a_peak_is_believed_at_once_and_forgotten_slowly() {
        let now = Instant::now();
        let mut load = load(now);
        let now = one(&mut load, now, millis(10), Event::Grpc(0));
        let now = one(&mut load, now, millis(100), Event::Grpc(0));
        assert_eq!(cost(&load, now), 100.0);
        // After one time constant 37 % of the difference are left.
        let later = one(&mut load, now + 10 * SECOND - millis(10), millis(10), Event::Grpc(0));
        assert!((cost(&load, later) - (10.0 + 90.0 * (-1.0_f64).exp())).abs() < 0.1);
    }

    #[test]
    fn each_request_under_way_adds_to_the_cost() {
        let now = Instant::now();
        let mut load = load(now);
        let now = one(&mut load, now, millis(10), Event::Grpc(0));
        let flights = [load.start(now), load.start(now), load.start(now)];
        assert_eq!((cost(&load, now), load.pending()), (40.0, 3));
        flights.into_iter().for_each(|flight| load.end(now, flight, Event::GivenUp.into()));
        assert_eq!((cost(&load, now), load.pending()), (10.0, 0));
    }

    #[test]
    fn fast_failures_make_an_endpoint_look_slow() {
        for (event, expected) in [
            (Event::Grpc(8), 5_010.0),
            (Event::Http(429), 5_010.0),
            (Event::Grpc(14), 1_010.0),
            (Event::ConnectFailed, 1_010.0),
        ] {
            let now = Instant::now();
            let mut load = load(now);
            let now = one(&mut load, now, millis(10), Event::Grpc(0));
            let now = one(&mut load, now, millis(1), event);
            assert!((cost(&load, now) - expected).abs() < 0.01, "{event:?}");
        }
    }

    #[test]
    fn a_slow_failure_counts_as_long_as_it_took() {
        let now = Instant::now();
        let mut load = load(now);
        let now = one(&mut load, now, 7 * SECOND, Event::Grpc(8));
        assert_eq!(cost(&load, now), 7_000.0);
    }

    #[test]
    fn what_a_caller_brought_upon_itself_changes_nothing() {
        let now = Instant::now();
        let mut load = load(now);
        let now = one(&mut load, now, millis(10), Event::Grpc(0));
        let after = one(&mut load, now, millis(1), Event::Grpc(3));
        let after = one(&mut load, after, millis(1), Event::GivenUp);
        assert!((cost(&load, after) - 10.0).abs() < 0.01);
    }

    #[test]
    fn an_endpoint_that_failed_is_tried_again_within_seconds() {
        let now = Instant::now();
        let mut load = load(now);
        let now = one(&mut load, now, millis(10), Event::Grpc(0));
        let now = one(&mut load, now, millis(1), Event::Grpc(8));
        assert!(cost(&load, now + 3 * SECOND) > 200.0);
        assert!(cost(&load, now + 7 * SECOND) < 11.0);
    }

    #[test]
    fn a_success_does_not_undo_a_penalty_and_a_small_one_not_a_large_one() {
        let now = Instant::now();
        let mut load = load(now);
        let running = load.start(now);
        let now = one(&mut load, now, millis(1), Event::Grpc(8));
        load.end(now, running, Event::Grpc(0).into());
        let now = one(&mut load, now, millis(1), Event::Grpc(14));
        assert!(cost(&load, now) > 4_900.0);
    }

    #[test]
    fn an_endpoint_that_was_left_alone_is_as_good_as_new() {
        let now = Instant::now();
        let mut load = load(now);
        let now = one(&mut load, now, millis(1), Event::ConnectFailed);
        load.forget();
        assert_eq!(cost(&load, now), 0.0);
        let now = one(&mut load, now, millis(3), Event::Grpc(0));
        assert_eq!(cost(&load, now), 3.0);
    }

    #[test]
    fn an_endpoint_that_says_nothing_is_as_slow_as_it_is_silent() {
        let now = Instant::now();
        let mut load = load(now);
        let now = one(&mut load, now, millis(10), Event::Grpc(0));
        // Idle before: that was no silence.
        let now = now + 5 * SECOND;
        let first = load.start(now);
        let second = load.start(now + millis(100));
        assert_eq!(cost(&load, now + millis(200)), 600.0);
        // A sign of life ends it, a caller that leaves does not.
        load.end(now + millis(300), first, Event::GivenUp.into());
        assert_eq!(cost(&load, now + millis(400)), 800.0);
        load.end(now + millis(500), second, Event::Grpc(3).into());
        assert!(cost(&load, now + millis(500)) < 10.0);
    }

    #[test]
    fn a_stream_that_has_begun_to_answer_is_no_silence_and_no_latency() {
        let now = Instant::now();
        let mut load = load(now);
        let mut stream = load.start(now);
        load.answer(now + millis(20), &mut stream);
        load.answer(now + millis(40), &mut stream);
        assert_eq!(cost(&load, now + 60 * SECOND), 60.0);
        load.end(now + 60 * SECOND, stream, Event::Grpc(0).into());
        assert_eq!(cost(&load, now + 60 * SECOND), 20.0);
    }

    #[test]
    fn an_average_needs_time_to_forget() {
        assert_eq!(Settings::default().check(), Ok(()));
        let bad = Settings { decay: Duration::ZERO, ..Settings::default() };
        assert_eq!(bad.check(), Err("decay is 0ns: expected more than 0 s".into()));
    }
}
