//! What is counted of the requests of one route.

use super::{Counter, Durations, Gauge};
use crate::observe::ending::{CODES, End};
use infermesh_policy::retry::Reason;
use std::time::Duration;

/// What HTTP answers are told apart by: the class of their status, or what became of them instead.
const ANSWERS: [&str; 7] = ["1xx", "2xx", "3xx", "4xx", "5xx", "broken", "canceled"];
const BROKEN: usize = 5;
const LEFT: usize = 6;

/// Why a request that failed was not sent again. Not among them: it was the caller's own fault.
const REFUSALS: [Reason; 8] = [
    Reason::NotCovered,
    Reason::Overload,
    Reason::Committed,
    Reason::NotReplayable,
    Reason::Attempts,
    Reason::Pushback,
    Reason::Deadline,
    Reason::Budget,
];

#[derive(Debug, Default)]
pub struct Requests {
    grpc: [Counter; CODES.len()],
    http: [Counter; ANSWERS.len()],
    refusals: [Counter; REFUSALS.len()],
    pub in_flight: Gauge,
    /// From the head of the request to the end of the answer.
    pub durations: Durations,
    /// Bytes of bodies: of requests as far as they were read, of answers as far as they were passed on.
    pub received: Counter,
    pub sent: Counter,
    /// Attempts after the first.
    pub retries: Counter,
    pub hedges: Counter,
}

impl Requests {
    pub fn ended(&self, end: End, took: Duration, received: u64, sent: u64) {
        match end {
            End::Grpc(code) => &self.grpc[usize::from(code).min(CODES.len() - 1)],
            End::Http(status) => &self.http[usize::from(status / 100).clamp(1, 5) - 1],
            End::Broken => &self.http[BROKEN],
            End::Left => &self.http[LEFT],
        }
        .add(1);
        self.durations.record(took);
        self.received.add(received);
        self.sent.add(sent);
    }

    /// A failed request was not sent again.
    pub fn not_retried(&self, reason: Reason) {
        if let Some(index) = REFUSALS.iter().position(|known| *known == reason) {
            self.refusals[index].add(1);
        }
    }

    /// Protocol, code and count of each way in which requests have ended.
    pub fn ends(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let grpc = CODES.iter().zip(&self.grpc).map(|(code, count)| ("grpc", *code, count.get()));
        let http = ANSWERS.iter().zip(&self.http).map(|(answer, count)| ("http", *answer, count.get()));
        grpc.chain(http).filter(|(_, _, count)| *count > 0)
    }

    /// Each reason for which a failed request was not sent again.
    pub fn refusals(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = REFUSALS.iter().zip(&self.refusals).map(|(reason, count)| (reason.name(), count.get()));
        counts.filter(|(_, count)| *count > 0)
    }

    /// Requests that have ended, and those of them that did so badly: by a gRPC error, a status of 400 and more, or before
    /// their answer did.
    pub fn totals(&self) -> (u64, u64) {
        self.ends().fold((0, 0), |(all, failed), (_, code, count)| {
            let is_good = matches!(code, "OK" | "1xx" | "2xx" | "3xx");
            (all + count, if is_good { failed } else { failed + count })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_is_counted_where_it_belongs() {
        let requests = Requests::default();
        let ends =
            [End::Grpc(0), End::Grpc(14), End::Grpc(16), End::Http(204), End::Http(503), End::Http(999)];
        for end in ends.into_iter().chain([End::Broken, End::Left]) {
            requests.ended(end, Duration::from_millis(1), 3, 4);
        }
        let found: Vec<_> = requests.ends().collect();
        assert_eq!(
            found,
            [
                ("grpc", "OK", 1),
                ("grpc", "UNAVAILABLE", 1),
                ("grpc", "UNAUTHENTICATED", 1),
                ("http", "2xx", 1),
                ("http", "5xx", 2),
                ("http", "broken", 1),
                ("http", "canceled", 1),
            ]
        );
        assert_eq!(requests.totals(), (8, 6));
        assert_eq!((requests.received.get(), requests.sent.get()), (24, 32));
    }

    #[test]
    fn a_refusal_has_its_reason_unless_nothing_was_refused() {
        let requests = Requests::default();
        for reason in [Reason::Budget, Reason::Budget, Reason::Final, Reason::Deadline] {
            requests.not_retried(reason);
        }
        assert_eq!(requests.refusals().collect::<Vec<_>>(), [("deadline", 1), ("budget", 2)]);
    }
}
