//! Why a request is not let in.

use super::numbers::Crowd;
use infermesh_policy::Priority;
use infermesh_wire::{Code, Error};
use std::time::Duration;

#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    /// There were more than this, and one more may come after this time.
    Rate { most: String, wait: Duration },
    /// So large a share of all is refused, because many fail.
    Failing { share: f64 },
    /// Nobody waits that is less urgent.
    Full(Priority, Crowd),
    /// A more urgent one waits in its place.
    Displaced(Crowd),
    /// It was not its turn for as long as anything may wait.
    Expired(Crowd),
    /// Or for as long as its caller does.
    Late(Crowd),
}

impl Refusal {
    /// As metrics call them.
    pub const REASONS: [&str; 6] = ["rate", "failing", "full", "displaced", "expired", "deadline"];

    /// The index of its reason.
    pub fn reason(&self) -> usize {
        match self {
            Self::Rate { .. } => 0,
            Self::Failing { .. } => 1,
            Self::Full(..) => 2,
            Self::Displaced(_) => 3,
            Self::Expired(_) => 4,
            Self::Late(_) => 5,
        }
    }

    /// What the caller is told. Whoever has too much to do says so, and not that it is away: else it would be asked again
    /// at once.
    pub fn error(self, route: &str) -> Error {
        match self {
            Self::Rate { most, wait } => {
                let said = format!("route '{route}' takes {most}, and the next one in {wait:.1?}");
                Error { retry_after: Some(wait), ..Error::overloaded(said) }
            }
            Self::Failing { share } => Error::new(
                Code::Unavailable,
                format!(
                    "route '{route}' refuses {:.0} % of its requests, while many of the others fail",
                    share * 100.0
                ),
            ),
            Self::Full(priority, crowd) => Error::overloaded(format!(
                "{}, which leaves no place for one of priority {}",
                full(route, crowd),
                priority.number()
            )),
            Self::Displaced(crowd) => {
                Error::overloaded(format!("a more urgent request waits in its place: {}", full(route, crowd)))
            }
            Self::Expired(crowd) => {
                Error::overloaded(format!("it was not its turn in time: {}", full(route, crowd)))
            }
            Self::Late(crowd) => Error::new(
                Code::DeadlineExceeded,
                format!("the deadline passed before it was its turn: {}", full(route, crowd)),
            ),
        }
    }
}

fn full(route: &str, Crowd { in_flight, waiting, .. }: Crowd) -> String {
    format!("route '{route}' has {in_flight} requests under way, as many as may be, and {waiting} that wait")
}

#[cfg(test)]
mod tests {
    use super::*;
    use infermesh_rest::status;

    #[test]
    fn each_says_what_is_so_and_whether_it_passes() {
        let crowd = Crowd { limit: 8, in_flight: 8, waiting: 90 };
        let wait = Duration::from_millis(250);
        let most = "4 requests per second".to_owned();
        for (refusal, http, said) in [
            (
                Refusal::Rate { most, wait },
                429,
                "'a' takes 4 requests per second, and the next one in 250.0ms",
            ),
            (Refusal::Failing { share: 0.4 }, 503, "refuses 40 % of its requests"),
            (
                Refusal::Full(Priority::LAST, crowd),
                429,
                "90 that wait, which leaves no place for one of priority 3",
            ),
            (
                Refusal::Displaced(crowd),
                429,
                "a more urgent request waits in its place: route 'a' has 8 requests",
            ),
            (Refusal::Expired(crowd), 429, "not its turn in time: route 'a' has 8 requests under way"),
            (Refusal::Late(crowd), 504, "the deadline passed before it was its turn: route 'a' has 8"),
        ] {
            let error = refusal.error("a");
            assert!(error.message.contains(said), "{error}");
            assert_eq!(status(&error), http);
            assert_eq!(error.retry_after.is_some(), said.contains("250"));
            assert_eq!(error.retry_is_safe(), http != 504);
        }
    }
}
