//! Whether a request is sent again, and when.
//!
//! Semantics of gRPC's proposal A6 (attempts, codes, pushback, when an attempt is committed), of Linkerd (an
//! overload is never retried; backoff) and of Envoy (budget). The backoff is "full jitter" above a floor: M.
//! Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.

use crate::{
    budget::Budget,
    chance::Chance,
    deadline::Deadline,
    outcome::{Class, Event, Executed, Outcome},
    settings::{self, Checked},
};
use smallvec::SmallVec;
use std::time::{Duration, Instant};

/// gRPC's own limit.
pub const MOST_ATTEMPTS: u32 = 5;

/// A server that wants to be left alone for longer is not waited for: the request and its body take memory
/// meanwhile.
const LONGEST_PUSHBACK: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Attempts in all.
    pub max_attempts: u32,
    /// gRPC codes that another attempt may change. By naming them a route says that its methods may be called
    /// twice.
    pub codes: SmallVec<[u16; 4]>,
    /// HTTP statuses, likewise, of requests that may be sent twice.
    pub http_statuses: SmallVec<[u16; 4]>,
    /// Time for one attempt, used with `Deadline::patience`.
    pub per_try_timeout: Option<Duration>,
    /// The shortest backoff.
    pub backoff_base: Duration,
    /// The longest one.
    pub backoff_max: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            codes: [14].into_iter().collect(),
            http_statuses: [502, 503, 504].into_iter().collect(),
            per_try_timeout: None,
            backoff_base: Duration::from_millis(25),
            backoff_max: Duration::from_millis(250),
        }
    }
}

impl Settings {
    pub fn check(&self) -> Checked {
        let attempts = 1..=MOST_ATTEMPTS;
        settings::holds("max_attempts", self.max_attempts, "1 to 5", attempts.contains(&self.max_attempts))?;
        for code in &self.codes {
            settings::holds("codes", code, "codes of gRPC errors, 1 to 16", (1..=16).contains(code))?;
            let is_overload = Outcome::from(Event::Grpc(*code)).class == Class::Overload;
            let expected = "codes other than RESOURCE_EXHAUSTED, which asks for less";
            settings::holds("codes", code, expected, !is_overload)?;
        }
        for status in &self.http_statuses {
            let is_error = (400..=599).contains(status) && *status != 429;
            let expected = "HTTP errors, 400 to 599, other than 429, which asks for less";
            settings::holds("http_statuses", status, expected, is_error)?;
        }
        if let Some(timeout) = self.per_try_timeout {
            settings::above_zero("per_try_timeout", timeout)?;
        }
        settings::above_zero("backoff_base", self.backoff_base)?;
        settings::ordered(("backoff_base", self.backoff_base), ("backoff_max", self.backoff_max))
    }

    /// Whether another attempt may end otherwise, and does no harm.
    fn covers(&self, event: Event, idempotent: bool) -> bool {
        match event {
            Event::Grpc(_) | Event::Busy => event.code().is_some_and(|code| self.codes.contains(&code)),
            Event::Http(status) => idempotent && self.http_statuses.contains(&status),
            _ => idempotent || Outcome::from(event).executed == Executed::Never,
        }
    }

    /// Before the attempt that follows so many others.
    fn backoff(&self, made: u32, chance: &mut Chance) -> Duration {
        let step = self.backoff_base.saturating_mul(1 << made.min(16));
        chance.between(self.backoff_base, step.min(self.backoff_max))
    }
}

/// What a server said about being asked again (`grpc-retry-pushback-ms`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushback {
    After(Duration),
    Never,
}

impl Pushback {
    /// What is no whole number is taken as `Never`, as A6 says.
    pub fn parse(value: &[u8]) -> Self {
        let millis = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
        millis.map_or(Self::Never, |millis| Self::After(Duration::from_millis(millis)))
    }
}

/// An attempt that has ended, and its request.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub event: Event,
    /// Attempts so far, with this one.
    pub made: u32,
    /// Whether to do it twice is as good as once. Of HTTP: by its method. Of gRPC: where the route has
    /// retries.
    pub idempotent: bool,
    /// Whether the caller has part of the answer: response headers, other than those that carry the status.
    pub committed: bool,
    /// Whether all that was sent is still there to be sent again.
    pub replayable: bool,
    pub pushback: Option<Pushback>,
    pub deadline: Deadline,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The answer stands.
    Stop(Reason),
    /// Again after this time, at an endpoint that was not tried if there is one.
    After(Duration),
}

/// Why the answer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It is a good one, or the caller's own fault.
    Final,
    /// An error that is not retried here.
    NotCovered,
    /// The endpoints have too much to do already.
    Overload,
    Committed,
    NotReplayable,
    Attempts,
    Pushback,
    Deadline,
    Budget,
}

impl Reason {
    /// In metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Final => "final",
            Self::NotCovered => "not_covered",
            Self::Overload => "overload",
            Self::Committed => "committed",
            Self::NotReplayable => "not_replayable",
            Self::Attempts => "attempts",
            Self::Pushback => "pushback",
            Self::Deadline => "deadline",
            Self::Budget => "budget",
        }
    }
}

/// Decides after an attempt. Only what `After` allows is taken from the budget.
pub fn decide(
    settings: &Settings,
    attempt: &Attempt,
    now: Instant,
    budget: &mut Budget,
    chance: &mut Chance,
) -> Decision {
    match wait(settings, attempt, now, chance) {
        Ok(_) if !budget.withdraw(now) => Decision::Stop(Reason::Budget),
        Ok(wait) => Decision::After(wait),
        Err(reason) => Decision::Stop(reason),
    }
}

/// How long to wait, if it is tried again.
fn wait(
    settings: &Settings,
    attempt: &Attempt,
    now: Instant,
    chance: &mut Chance,
) -> Result<Duration, Reason> {
    let outcome = Outcome::from(attempt.event);
    let obstacles = [
        (outcome.class == Class::Success || attempt.event == Event::GivenUp, Reason::Final),
        // Of what was not begun another endpoint may have less to do; the budget keeps that from becoming a load.
        (outcome.class == Class::Overload && attempt.event != Event::Busy, Reason::Overload),
        (attempt.deadline.has_passed(now), Reason::Deadline),
        (
            !settings.covers(attempt.event, attempt.idempotent),
            match outcome.class {
                Class::Ignored => Reason::Final,
                _ => Reason::NotCovered,
            },
        ),
        (attempt.committed, Reason::Committed),
        (!attempt.replayable, Reason::NotReplayable),
        (attempt.made >= settings.max_attempts, Reason::Attempts),
    ];
    if let Some((_, reason)) = obstacles.into_iter().find(|(is_there, _)| *is_there) {
        return Err(reason);
    }
    let wait = match attempt.pushback {
        Some(Pushback::Never) => return Err(Reason::Pushback),
        Some(Pushback::After(wait)) if wait > LONGEST_PUSHBACK => return Err(Reason::Pushback),
        Some(Pushback::After(wait)) => wait,
        // Another endpoint can take at once what this one never saw. If that one fails too it is no accident.
        None if attempt.made == 1 && outcome.executed == Executed::Never => Duration::ZERO,
        None => settings.backoff(attempt.made, chance),
    };
    match attempt.deadline.remaining(now) {
        Some(left) if left <= wait => Err(Reason::Deadline),
        _ => Ok(wait),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{budget, outcome::Bound};
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// An attempt that could be made again whatever happened.
    fn attempt(event: Event) -> Attempt {
        Attempt {
            event,
            made: 1,
            idempotent: true,
            committed: false,
            replayable: true,
            pushback: None,
            deadline: Deadline::NONE,
        }
    }

    fn decided(attempt: &Attempt) -> Decision {
        let now = Instant::now();
        let mut budget = Budget::new(now, &budget::Settings::default());
        decide(&Settings::default(), attempt, now, &mut budget, &mut Chance::seeded(1))
    }

    fn is_retried(attempt: &Attempt) -> bool {
        matches!(decided(attempt), Decision::After(_))
    }

    #[test]
    fn the_codes_of_the_route_are_retried_and_no_others() {
        let retried: Vec<u16> = (0..20).filter(|code| is_retried(&attempt(Event::Grpc(*code)))).collect();
        assert_eq!(retried, [14]);
        assert_eq!(decided(&attempt(Event::Grpc(13))), Decision::Stop(Reason::NotCovered));
        assert_eq!(decided(&attempt(Event::Grpc(3))), Decision::Stop(Reason::Final));
        assert_eq!(decided(&attempt(Event::Grpc(0))), Decision::Stop(Reason::Final));
    }

    #[test]
    fn http_is_retried_by_status_if_it_may_be_sent_twice() {
        for status in [502, 503, 504] {
            assert!(is_retried(&attempt(Event::Http(status))));
            let once = Attempt { idempotent: false, ..attempt(Event::Http(status)) };
            assert_eq!(decided(&once), Decision::Stop(Reason::NotCovered));
        }
        assert!(!is_retried(&attempt(Event::Http(500))) && !is_retried(&attempt(Event::Http(404))));
    }

    #[test]
    fn what_was_never_executed_is_retried_even_if_it_must_not_happen_twice() {
        for event in [Event::ConnectFailed, Event::Refused] {
            assert!(is_retried(&Attempt { idempotent: false, ..attempt(event) }), "{event:?}");
        }
        for event in [Event::Reset, Event::TimedOut(Bound::Attempt)] {
            assert!(is_retried(&attempt(event)), "{event:?}");
            assert!(!is_retried(&Attempt { idempotent: false, ..attempt(event) }), "{event:?}");
        }
    }

    #[test]
    fn an_overload_is_never_retried() {
        for event in [Event::Grpc(8), Event::Http(429)] {
            let pushed = Attempt { pushback: Some(Pushback::After(SECOND)), ..attempt(event) };
            assert_eq!(decided(&pushed), Decision::Stop(Reason::Overload));
        }
    }

    #[test]
    fn nothing_is_retried_once_the_caller_has_part_of_it_or_the_body_is_gone() {
        let committed = Attempt { committed: true, ..attempt(Event::ConnectFailed) };
        assert_eq!(decided(&committed), Decision::Stop(Reason::Committed));
        let gone = Attempt { replayable: false, ..attempt(Event::Grpc(14)) };
        assert_eq!(decided(&gone), Decision::Stop(Reason::NotReplayable));
        assert_eq!(decided(&attempt(Event::GivenUp)), Decision::Stop(Reason::Final));
    }

    #[test]
    fn attempts_are_counted() {
        assert!(is_retried(&Attempt { made: 2, ..attempt(Event::Grpc(14)) }));
        let last = Attempt { made: 3, ..attempt(Event::Grpc(14)) };
        assert_eq!(decided(&last), Decision::Stop(Reason::Attempts));
    }

    #[test]
    fn the_first_attempt_elsewhere_is_made_at_once_and_the_next_are_not() {
        assert_eq!(decided(&attempt(Event::ConnectFailed)), Decision::After(Duration::ZERO));
        let second = Attempt { made: 2, ..attempt(Event::ConnectFailed) };
        assert!(matches!(decided(&second), Decision::After(wait) if wait >= Duration::from_millis(25)));
    }

    #[test]
    fn the_backoff_grows_between_its_bounds() {
        let (settings, mut chance) = (Settings::default(), Chance::seeded(3));
        let mut longest = |made| (0..1_000).map(|_| settings.backoff(made, &mut chance)).max().unwrap();
        assert!([50, 100, 200, 250].into_iter().zip(1..).all(|(most, made)| {
            let most = Duration::from_millis(most);
            (most.mul_f64(0.95)..=most).contains(&longest(made))
        }));
    }

    #[test]
    fn what_was_not_begun_for_want_of_time_may_be_begun_elsewhere() {
        assert_eq!(decided(&attempt(Event::Busy)), Decision::After(Duration::ZERO));
        assert_eq!(decided(&attempt(Event::Grpc(8))), Decision::Stop(Reason::Overload));
        let (settings, now) = (Settings { codes: SmallVec::new(), ..Settings::default() }, Instant::now());
        let mut budget = Budget::new(now, &budget::Settings::default());
        let mut chance = Chance::seeded(1);
        let not_covered = decide(&settings, &attempt(Event::Busy), now, &mut budget, &mut chance);
        assert_eq!(not_covered, Decision::Stop(Reason::NotCovered));
    }

    #[test]
    fn a_server_says_when_to_come_again_or_not_to() {
        assert_eq!(Pushback::parse(b"1500"), Pushback::After(Duration::from_millis(1500)));
        for value in [&b"-1"[..], b"", b"soon", b"1.5", b"\xff"] {
            assert_eq!(Pushback::parse(value), Pushback::Never);
        }
        let pushed = |pushback| decided(&Attempt { pushback: Some(pushback), ..attempt(Event::Grpc(14)) });
        assert_eq!(pushed(Pushback::After(2 * SECOND)), Decision::After(2 * SECOND));
        assert_eq!(pushed(Pushback::Never), Decision::Stop(Reason::Pushback));
        assert_eq!(pushed(Pushback::After(3600 * SECOND)), Decision::Stop(Reason::Pushback));
    }

    #[test]
    fn a_retry_that_would_come_too_late_is_not_made() {
        let now = Instant::now();
        let decided = |left, event, pushback| {
            let deadline = Deadline::earliest(now, [Some(left)]);
            let mut budget = Budget::new(now, &budget::Settings::default());
            let attempt = Attempt { deadline, pushback, ..attempt(event) };
            decide(&Settings::default(), &attempt, now, &mut budget, &mut Chance::seeded(1))
        };
        let millis = Duration::from_millis;
        assert_eq!(decided(millis(20), Event::Grpc(14), None), Decision::Stop(Reason::Deadline));
        assert!(matches!(decided(millis(60), Event::Grpc(14), None), Decision::After(_)));
        let later = Some(Pushback::After(SECOND));
        assert_eq!(decided(SECOND, Event::Grpc(14), later), Decision::Stop(Reason::Deadline));
        let over = Event::TimedOut(Bound::Request);
        assert_eq!(decided(Duration::ZERO, over, None), Decision::Stop(Reason::Deadline));
    }

    #[test]
    fn the_budget_has_the_last_word_and_pays_only_for_what_is_made() {
        let now = Instant::now();
        let settings = budget::Settings { reserve: 0.1, ..budget::Settings::default() };
        let (mut budget, mut chance) = (Budget::new(now, &settings), Chance::seeded(1));
        let mut decided = |attempt| decide(&Settings::default(), &attempt, now, &mut budget, &mut chance);
        decided(Attempt { made: 3, ..attempt(Event::Grpc(14)) });
        decided(attempt(Event::Grpc(8)));
        assert!(matches!(decided(attempt(Event::Grpc(14))), Decision::After(_)));
        assert_eq!(decided(attempt(Event::Grpc(14))), Decision::Stop(Reason::Budget));
    }

    #[test]
    fn settings_that_make_no_sense_are_named() {
        let millis = Duration::from_millis;
        let bad = |change: fn(&mut Settings)| {
            let mut settings = Settings::default();
            change(&mut settings);
            settings.check().unwrap_err()
        };
        assert_eq!(bad(|settings| settings.max_attempts = 6), "max_attempts is 6: expected 1 to 5");
        assert!(bad(|settings| settings.codes.push(0)).starts_with("codes is 0"));
        assert!(bad(|settings| settings.codes.push(8)).contains("RESOURCE_EXHAUSTED"));
        assert!(bad(|settings| settings.http_statuses.push(429)).contains("429"));
        let backwards = Settings { backoff_base: millis(300), ..Settings::default() };
        assert_eq!(
            backwards.check().unwrap_err(),
            "backoff_max is 250ms: expected no less than backoff_base, which is 300ms"
        );
        assert_eq!(Settings::default().check(), Ok(()));
    }

    proptest! {
        /// No retry ends after the deadline begins, whatever happened.
        #[test]
        fn no_wait_outlasts_the_deadline(
            left in 0u64..1_000,
            made in 1u32..5,
            pushback in prop::option::of(0u64..2_000),
            seed: u64,
        ) {
            let now = Instant::now();
            let left = Duration::from_millis(left);
            let attempt = Attempt {
                made,
                deadline: Deadline::earliest(now, [Some(left)]),
                pushback: pushback.map(|millis| Pushback::After(Duration::from_millis(millis))),
                ..attempt(Event::Grpc(14))
            };
            let mut budget = Budget::new(now, &budget::Settings::default());
            let settings = Settings { max_attempts: 5, ..Settings::default() };
            let mut chance = Chance::seeded(seed);
            if let Decision::After(wait) = decide(&settings, &attempt, now, &mut budget, &mut chance) {
                prop_assert!(wait < left);
            }
        }
    }
}
