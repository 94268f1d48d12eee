//! A request that was let in, until its answer has ended.

use super::{
    line::Place,
    shed::Shed,
    timing::{Asked, told},
};
use crate::headers::GRPC_PUSHBACK;
use http::{HeaderMap, header::RETRY_AFTER};
use infermesh_policy::{Class, Event, Outcome, concurrency::Ended};
use std::{
    cell::Cell,
    sync::Arc,
    time::{Duration, Instant},
};

/// Dropped before its end it was given up.
pub struct Turn {
    place: Cell<Option<Place>>,
    shed: Option<Arc<Shed>>,
    asked: Option<Asked>,
    heard: Cell<Heard>,
}

/// What the upstream has said of it.
#[derive(Debug, Clone, Copy, Default)]
struct Heard {
    /// Whether there was an answer; else it was made here.
    anything: bool,
    /// Its time in the queue there.
    queued: Option<Duration>,
    /// When this caller may come again.
    pushback: bool,
}

impl Turn {
    pub fn new(place: Option<Place>, shed: Option<Arc<Shed>>, asked: Option<Asked>) -> Self {
        Self { place: Cell::new(place), shed, asked, heard: Cell::default() }
    }

    /// The upstream has answered, with this head.
    pub fn answered(&self, headers: &mut HeaderMap) {
        self.hears(headers);
        self.heard.set(Heard { anything: true, ..self.heard.get() });
    }

    /// Its answer has these headers or trailers; what the caller did not ask for is taken out.
    pub fn hears(&self, headers: &mut HeaderMap) {
        let Heard { anything, queued, pushback } = self.heard.get();
        let told = self.asked.and_then(|asked| told(headers, asked));
        let pushed = headers.contains_key(&GRPC_PUSHBACK) || headers.contains_key(RETRY_AFTER);
        self.heard.set(Heard { anything, queued: told.or(queued), pushback: pushback || pushed });
    }

    /// It was answered together with another one.
    pub fn shares(&self, other: &Self) {
        self.heard.set(other.heard.get());
    }

    /// Its answer has come to this end.
    pub fn end(&self, event: Event, now: Instant) {
        let heard = self.heard.get();
        if let (Some(shed), Some(succeeded)) = (&self.shed, succeeded(event, heard)) {
            shed.ended(succeeded, now);
        }
        if let Some(place) = self.place.take() {
            let ended = ended(event, heard, place.latency(now));
            place.end(ended, now);
        }
    }
}

/// Whether it got what it asked for, of the upstream or of what is known here; `None` if the upstream is not to blame.
fn succeeded(event: Event, heard: Heard) -> Option<bool> {
    match (event, Outcome::from(event).class) {
        // Whoever has too much to do answers too late.
        (Event::TimedOut(_), _) | (_, Class::Failure) => Some(false),
        (_, Class::Success) => Some(true),
        (_, Class::Overload) => heard.anything.then_some(false),
        (Event::GivenUp, _) => None,
        (_, Class::Ignored) => heard.anything.then_some(true),
    }
}

/// What that says about how many may be under way.
fn ended(event: Event, heard: Heard, latency: Duration) -> Ended {
    match Outcome::from(event).class {
        _ if !heard.anything => Ended::Otherwise,
        Class::Success => Ended::Answered { latency, queued: heard.queued },
        // A caller who is told when to come again has come too often: that is about him.
        Class::Overload if !heard.pushback => Ended::Dropped { latency },
        Class::Overload | Class::Failure | Class::Ignored => Ended::Otherwise,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use infermesh_policy::outcome::Bound;

    const LATENCY: Duration = Duration::from_millis(20);

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    /// What is made of an event after these headers of an answer.
    fn made(event: Event, answers: &[&[(&'static str, &'static str)]]) -> (Option<bool>, Ended) {
        let turn = Turn::new(None, None, Some(Asked::Here));
        if let Some((head, trailers)) = answers.split_first() {
            turn.answered(&mut headers(head));
            trailers.iter().for_each(|lines| turn.hears(&mut headers(lines)));
        }
        let heard = turn.heard.get();
        (succeeded(event, heard), ended(event, heard, LATENCY))
    }

    #[test]
    fn an_answer_says_how_long_it_took_and_how_long_it_waited() {
        let answer: [&[_]; 2] = [&[], &[("grpc-status", "0"), ("x-infermesh-queue-us", "5000")]];
        let queued = Some(Duration::from_millis(5));
        let expected = (Some(true), Ended::Answered { latency: LATENCY, queued });
        assert_eq!(made(Event::Grpc(0), &answer), expected);
        assert_eq!(made(Event::Http(200), &[&[]]).1, Ended::Answered { latency: LATENCY, queued: None });
    }

    #[test]
    fn a_refusal_is_for_want_of_room_unless_it_is_about_the_caller() {
        let (refused, dropped) = (Event::Grpc(8), Ended::Dropped { latency: LATENCY });
        assert_eq!(made(refused, &[&[]]), (Some(false), dropped));
        assert_eq!(made(refused, &[&[("grpc-retry-pushback-ms", "9")]]).1, Ended::Otherwise);
        assert_eq!(made(Event::Http(429), &[&[("retry-after", "1")]]).1, Ended::Otherwise);
        // Our own: a message that is too large, or no memory for it.
        assert_eq!(made(refused, &[]), (None, Ended::Otherwise));
    }

    #[test]
    fn failures_count_wherever_they_are_found_and_say_nothing_about_the_limit() {
        let late = [Event::TimedOut(Bound::Request), Event::TimedOut(Bound::Attempt), Event::Grpc(4)];
        for event in [Event::Grpc(14), Event::Http(503), Event::Reset].into_iter().chain(late) {
            assert_eq!(made(event, &[]), (Some(false), Ended::Otherwise), "{event:?}");
            assert_eq!(made(event, &[&[]]), (Some(false), Ended::Otherwise), "{event:?}");
        }
    }

    #[test]
    fn what_was_known_here_is_a_success_that_says_nothing_about_the_limit() {
        let turn = Turn::new(None, None, None);
        turn.hears(&mut headers(&[("grpc-status", "0")]));
        let heard = turn.heard.get();
        assert_eq!(succeeded(Event::Grpc(0), heard), Some(true));
        assert_eq!(ended(Event::Grpc(0), heard, LATENCY), Ended::Otherwise);
    }

    #[test]
    fn those_that_share_an_answer_share_what_it_says() {
        let [one, other] = [(), ()].map(|()| Turn::new(None, None, Some(Asked::Here)));
        one.hears(&mut headers(&[("x-infermesh-queue-us", "5000")]));
        other.shares(&one);
        assert_eq!(other.heard.get().queued, Some(Duration::from_millis(5)));
    }

    #[test]
    fn what_a_caller_did_wrong_or_gave_up_is_nobodys_failure() {
        assert_eq!(made(Event::Grpc(3), &[&[]]), (Some(true), Ended::Otherwise));
        assert_eq!(made(Event::Grpc(3), &[]), (None, Ended::Otherwise));
        assert_eq!(made(Event::GivenUp, &[&[]]), (None, Ended::Otherwise));
    }
}
