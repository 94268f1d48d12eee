//! What the end of an attempt says about the endpoint that it was made at, and about another attempt.
//!
//! The classes of gRPC codes are those of Linkerd and Envoy, with two exceptions: an overload is neither
//! success nor failure, and what a caller brought upon itself says nothing of the endpoint.

use infermesh_wire::Code;

const DEADLINE_EXCEEDED: u16 = 4;

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The code of `grpc-status`, in headers or trailers.
    Grpc(u16),
    /// UNAVAILABLE of a server that says why: it has more to do than it can, and has not begun with this.
    Busy,
    /// An HTTP status where no gRPC was spoken.
    Http(u16),
    /// There was no connection to send it on.
    ConnectFailed,
    /// As much is under way to it as may be, and waits: it was not sent.
    Full,
    /// REFUSED_STREAM, or a GOAWAY that leaves it out: the peer says that it has not looked at it.
    Refused,
    /// Any other reset, or the end of the connection.
    Reset,
    /// No answer came in time.
    TimedOut(Bound),
    /// Nobody wants its answer any more: the caller left, or another attempt was faster.
    GivenUp,
}

/// What bounds the time of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// The time for one attempt.
    Attempt,
    /// What was left of the whole request's.
    Request,
}

impl Event {
    /// The end of an attempt by a gRPC status. An endpoint that is told how much time it has may say that it
    /// is over just before we notice: it is the same event.
    pub fn grpc(code: u16, bound: Bound) -> Self {
        if code == DEADLINE_EXCEEDED { Self::TimedOut(bound) } else { Self::Grpc(code) }
    }

    /// The code of gRPC that it came with, if it is known.
    pub fn code(self) -> Option<u16> {
        match self {
            Self::Grpc(code) => Some(code),
            Self::Busy => Some(Code::Unavailable as u16),
            _ => None,
        }
    }
}

impl From<Code> for Event {
    fn from(code: Code) -> Self {
        Self::Grpc(code as u16)
    }
}

/// What it is counted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    Success,
    Failure,
    /// It has too much to do: to be left alone, and not to be sent the same again.
    Overload,
    /// Says nothing about the endpoint.
    Ignored,
}

/// Whether the endpoint can have done what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Executed {
    /// To ask again is always safe.
    Never,
    /// To ask again is safe if doing it twice is as good as once.
    Perhaps,
}

/// Whether the endpoint lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It answered.
    Sign,
    /// It had the opportunity.
    Silence,
    /// It was not waited for.
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    pub class: Class,
    pub executed: Executed,
    pub life: Life,
}

impl From<Event> for Outcome {
    fn from(event: Event) -> Self {
        let (class, executed, life) = match event {
            Event::Grpc(code) => (of_grpc(code), Executed::Perhaps, Life::Sign),
            // It lives, and does what it can. To leave it alone altogether would make its overload that of the others.
            Event::Busy => (Class::Overload, Executed::Never, Life::Sign),
            Event::Http(status) => (of_http(status), Executed::Perhaps, Life::Sign),
            Event::ConnectFailed => (Class::Failure, Executed::Never, Life::Silence),
            Event::Full => (Class::Overload, Executed::Never, Life::Unknown),
            Event::Refused => (Class::Failure, Executed::Never, Life::Sign),
            Event::Reset | Event::TimedOut(Bound::Attempt) => {
                (Class::Failure, Executed::Perhaps, Life::Silence)
            }
            // A caller may give any endpoint too little time.
            Event::TimedOut(Bound::Request) => (Class::Ignored, Executed::Perhaps, Life::Silence),
            Event::GivenUp => (Class::Ignored, Executed::Perhaps, Life::Unknown),
        };
        Self { class, executed, life }
    }
}

fn of_grpc(code: u16) -> Class {
    match code {
        0 => Class::Success,
        // CANCELLED, INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, FAILED_PRECONDITION,
        // ABORTED, OUT_OF_RANGE, UNIMPLEMENTED, UNAUTHENTICATED: the caller has to act.
        1 | 3 | 5 | 6 | 7 | 9 | 10 | 11 | 12 | 16 => Class::Ignored,
        8 => Class::Overload,
        // UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE, DATA_LOSS; gRPC takes a code that it does not
        // know for UNKNOWN.
        _ => Class::Failure,
    }
}

fn of_http(status: u16) -> Class {
    match status {
        429 => Class::Overload,
        // 501 is a method that no endpoint has, and a matter of the request.
        400..=499 | 501 => Class::Ignored,
        100..=399 => Class::Success,
        _ => Class::Failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(event: impl Into<Event>) -> Class {
        Outcome::from(event.into()).class
    }

    #[test]
    fn every_code_of_grpc_has_its_class() {
        use Class::{Failure, Ignored, Overload, Success};
        let expected = [
            Success, Ignored, Failure, Ignored, Failure, Ignored, Ignored, Ignored, Overload, Ignored,
            Ignored, Ignored, Ignored, Failure, Failure, Failure, Ignored,
        ];
        for (code, expected) in expected.into_iter().enumerate() {
            assert_eq!(class(Event::Grpc(code as u16)), expected, "code {code}");
        }
        assert_eq!(class(Event::Grpc(17)), Failure);
        assert_eq!(class(Event::Grpc(u16::MAX)), Failure);
    }

    #[test]
    fn our_own_codes_are_those_of_grpc() {
        for (code, expected) in [
            (Code::Unavailable, Class::Failure),
            (Code::ResourceExhausted, Class::Overload),
            (Code::InvalidArgument, Class::Ignored),
            (Code::Cancelled, Class::Ignored),
        ] {
            assert_eq!(class(code), expected, "{}", code.name());
        }
    }

    #[test]
    fn http_says_whose_fault_it_is_in_its_first_digit() {
        for (status, expected) in [
            (200, Class::Success),
            (304, Class::Success),
            (400, Class::Ignored),
            (404, Class::Ignored),
            (429, Class::Overload),
            (500, Class::Failure),
            (501, Class::Ignored),
            (503, Class::Failure),
            (0, Class::Failure),
            (999, Class::Failure),
        ] {
            assert_eq!(class(Event::Http(status)), expected, "{status}");
        }
    }

    #[test]
    fn only_what_no_endpoint_looked_at_was_certainly_not_executed() {
        let executed = |event| Outcome::from(event).executed;
        assert_eq!(executed(Event::ConnectFailed), Executed::Never);
        assert_eq!(executed(Event::Refused), Executed::Never);
        assert_eq!(executed(Event::Full), Executed::Never);
        for event in [Event::Reset, Event::TimedOut(Bound::Attempt), Event::Grpc(14), Event::Http(503)] {
            assert_eq!(executed(event), Executed::Perhaps, "{event:?}");
        }
    }

    #[test]
    fn a_deadline_counts_against_the_endpoint_only_if_it_is_ours() {
        assert_eq!(class(Event::grpc(4, Bound::Attempt)), Class::Failure);
        assert_eq!(class(Event::grpc(4, Bound::Request)), Class::Ignored);
        assert_eq!(Event::grpc(14, Bound::Request), Event::Grpc(14));
    }

    #[test]
    fn an_answer_is_a_sign_of_life_whatever_it_says() {
        let life = |event| Outcome::from(event).life;
        for event in [Event::Grpc(0), Event::Grpc(3), Event::Grpc(14), Event::Http(500), Event::Refused] {
            assert_eq!(life(event), Life::Sign, "{event:?}");
        }
        for event in [Event::ConnectFailed, Event::TimedOut(Bound::Request)] {
            assert_eq!(life(event), Life::Silence, "{event:?}");
        }
        assert_eq!(life(Event::GivenUp), Life::Unknown);
        assert_eq!(life(Event::Full), Life::Unknown);
    }
}
