//! Why a request failed: who has to do something about it, and what is known.

use infermesh_policy::{Class, Event, Outcome};
use infermesh_wire::{Code, Error};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The request is wrong, not allowed, or was given up.
    Caller,
    /// This proxy: it is full, ends, or has a fault.
    Proxy,
    /// Those who should have answered.
    Upstream,
}

impl Source {
    /// In logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Proxy => "proxy",
            Self::Upstream => "upstream",
        }
    }

    /// Of an error that this proxy answers with. `is_routed`: it was known who should answer; `was_sent`: somebody was asked.
    pub fn of_error(code: Code, is_routed: bool, was_sent: bool) -> Self {
        match code {
            Code::Cancelled
            | Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::Unimplemented
            | Code::Unauthenticated => Self::Caller,
            // Nobody can be asked, or none of those who were has answered.
            Code::Unavailable if is_routed => Self::Upstream,
            Code::DeadlineExceeded if was_sent => Self::Upstream,
            Code::DeadlineExceeded | Code::ResourceExhausted | Code::Internal | Code::Unavailable => {
                Self::Proxy
            }
        }
    }

    /// Of an answer of the upstream's, or of what there was instead; `None` if it is good.
    pub fn of_event(event: Event) -> Option<Self> {
        match (event, Outcome::from(event).class) {
            (Event::TimedOut(_), _) | (_, Class::Failure | Class::Overload) => Some(Self::Upstream),
            (_, Class::Ignored) => Some(Self::Caller),
            (_, Class::Success) => None,
        }
    }
}

#[derive(Debug, Clone)]
pub struct Failure {
    pub source: Source,
    /// For people; empty if nothing was said.
    pub message: String,
}

impl Failure {
    pub fn new(source: Source, message: impl Into<String>) -> Self {
        Self { source, message: message.into() }
    }

    /// Of an error that this proxy answers with.
    pub fn of_error(error: &Error, is_routed: bool, was_sent: bool) -> Self {
        Self::new(Source::of_error(error.code, is_routed, was_sent), error.message.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use infermesh_policy::outcome::Bound;

    #[test]
    fn an_error_of_ours_has_its_reason_somewhere() {
        for (code, is_routed, was_sent, expected) in [
            (Code::PermissionDenied, false, false, Source::Caller),
            (Code::Unavailable, false, false, Source::Proxy),
            (Code::Unavailable, true, false, Source::Upstream),
            (Code::Unavailable, true, true, Source::Upstream),
            (Code::ResourceExhausted, true, false, Source::Proxy),
            (Code::DeadlineExceeded, true, true, Source::Upstream),
            (Code::DeadlineExceeded, true, false, Source::Proxy),
        ] {
            assert_eq!(Source::of_error(code, is_routed, was_sent), expected, "{code:?}");
        }
    }

    #[test]
    fn an_answer_is_the_upstreams_failure_unless_the_caller_has_to_act() {
        for (event, expected) in [
            (Event::Grpc(0), None),
            (Event::Http(302), None),
            (Event::Grpc(3), Some(Source::Caller)),
            (Event::Http(404), Some(Source::Caller)),
            (Event::Grpc(8), Some(Source::Upstream)),
            (Event::Http(503), Some(Source::Upstream)),
            (Event::Reset, Some(Source::Upstream)),
            (Event::TimedOut(Bound::Request), Some(Source::Upstream)),
            (Event::GivenUp, Some(Source::Caller)),
        ] {
            assert_eq!(Source::of_event(event), expected, "{event:?}");
        }
    }
}
