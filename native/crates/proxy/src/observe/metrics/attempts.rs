//! What is counted of the attempts at one endpoint, and of the connections to it.

use super::{Counter, Durations, Gauge};
use infermesh_policy::{Class, Event, Outcome};
use std::{sync::Arc, time::Duration};

/// How an attempt ended, as far as it is worth telling apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Success,
    /// An answer that says that the endpoint could not do it.
    Failure,
    /// An answer that says that it has too much to do.
    Overload,
    /// An answer that says that the caller has to act.
    Rejected,
    ConnectFailed,
    /// There was no room for it on the connections.
    Full,
    Refused,
    Reset,
    Timeout,
    GivenUp,
}

impl Fate {
    const ALL: [Self; 10] = [
        Self::Success,
        Self::Failure,
        Self::Overload,
        Self::Rejected,
        Self::ConnectFailed,
        Self::Full,
        Self::Refused,
        Self::Reset,
        Self::Timeout,
        Self::GivenUp,
    ];

    /// In metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Overload => "overload",
            Self::Rejected => "rejected",
            Self::ConnectFailed => "connect_failed",
            Self::Full => "full",
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::Timeout => "timeout",
            Self::GivenUp => "given_up",
        }
    }

    /// Whether the endpoint is to blame.
    fn is_failure(self) -> bool {
        !matches!(self, Self::Success | Self::Rejected | Self::GivenUp)
    }
}

impl From<Event> for Fate {
    fn from(event: Event) -> Self {
        match event {
            Event::ConnectFailed => Self::ConnectFailed,
            Event::Full => Self::Full,
            Event::Refused => Self::Refused,
            Event::Reset => Self::Reset,
            Event::TimedOut(_) => Self::Timeout,
            Event::GivenUp => Self::GivenUp,
            Event::Grpc(_) | Event::Busy | Event::Http(_) => match Outcome::from(event).class {
                Class::Success => Self::Success,
                Class::Failure => Self::Failure,
                Class::Overload => Self::Overload,
                Class::Ignored => Self::Rejected,
            },
        }
    }
}

#[derive(Debug, Default)]
pub struct Attempts {
    ends: [Counter; Fate::ALL.len()],
    /// From the choice of the endpoint to the end of its answer.
    pub durations: Durations,
    /// Connections, those that are being made included.
    pub connections: Gauge,
    /// Connections so far.
    pub opened: Counter,
    /// Requests that wait for a connection.
    pub pending: Gauge,
}

/// One of what a gauge counts, for as long as this lives.
pub struct Counted {
    attempts: Arc<Attempts>,
    gauge: fn(&Attempts) -> &Gauge,
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.gauge)(&self.attempts).leave();
    }
}

impl Attempts {
    pub fn ended(&self, event: Event, took: Duration) {
        self.ends[Fate::from(event) as usize].add(1);
        self.durations.record(took);
    }

    /// A connection is made.
    pub fn connection(self: &Arc<Self>) -> Counted {
        self.opened.add(1);
        self.counted(|attempts| &attempts.connections)
    }

    /// A request waits for a connection.
    pub fn waiting(self: &Arc<Self>) -> Counted {
        self.counted(|attempts| &attempts.pending)
    }

    fn counted(self: &Arc<Self>, gauge: fn(&Self) -> &Gauge) -> Counted {
        gauge(self).enter();
        Counted { attempts: self.clone(), gauge }
    }

    /// Each way in which attempts have ended.
    pub fn ends(&self) -> impl Iterator<Item = (Fate, u64)> {
        let counts = Fate::ALL.into_iter().zip(&self.ends).map(|(end, count)| (end, count.get()));
        counts.filter(|(_, count)| *count > 0)
    }

    /// Attempts that have ended, and those of them that the endpoint failed.
    pub fn totals(&self) -> (u64, u64) {
        self.ends().fold((0, 0), |(all, failed), (end, count)| {
            (all + count, if end.is_failure() { failed + count } else { failed })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use infermesh_policy::outcome::Bound;

    #[test]
    fn every_event_is_counted_where_it_belongs() {
        let attempts = Attempts::default();
        for event in [
            Event::Grpc(0),
            Event::Grpc(14),
            Event::Grpc(8),
            Event::Grpc(3),
            Event::Http(200),
            Event::Http(404),
            Event::ConnectFailed,
            Event::Full,
            Event::Refused,
            Event::Reset,
            Event::TimedOut(Bound::Request),
            Event::GivenUp,
        ] {
            attempts.ended(event, Duration::ZERO);
        }
        let found: Vec<_> = attempts.ends().map(|(end, count)| (end.name(), count)).collect();
        let expected = [
            ("success", 2),
            ("failure", 1),
            ("overload", 1),
            ("rejected", 2),
            ("connect_failed", 1),
            ("full", 1),
            ("refused", 1),
            ("reset", 1),
            ("timeout", 1),
            ("given_up", 1),
        ];
        assert_eq!(found, expected);
        assert_eq!(attempts.totals(), (12, 7));
    }

    #[test]
    fn the_order_of_names_is_that_of_the_counters() {
        for (index, end) in Fate::ALL.into_iter().enumerate() {
            assert_eq!(end as usize, index);
        }
    }

    #[test]
    fn what_is_over_counts_no_more() {
        let attempts = Arc::new(Attempts::default());
        let (first, second) = (attempts.connection(), attempts.connection());
        drop(first);
        assert_eq!((attempts.connections.get(), attempts.opened.get(), attempts.pending.get()), (1, 2, 0));
        drop(second);
        assert_eq!(attempts.connections.get(), 0);
    }
}
