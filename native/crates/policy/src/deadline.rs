//! How long a request may take, and how much of that is left. Each hop is told what is left (`grpc-timeout`),
//! as in <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>; a retry never extends it.

use crate::outcome::Bound;
use infermesh_wire::framing::parse_timeout;
use smallvec::SmallVec;
use std::time::{Duration, Instant};

/// A year is as long as for ever, and can be added to any moment.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// The value of a `grpc-timeout`.
pub type Text = SmallVec<[u8; 9]>;

/// Reads a `grpc-timeout`; fails with a message for the caller.
pub fn parse(value: &[u8]) -> Result<Duration, String> {
    let text = std::str::from_utf8(value).ok();
    text.and_then(parse_timeout).ok_or_else(|| {
        let found = &value[..value.len().min(32)];
        format!(
            "grpc-timeout is \"{}\": expected one to eight digits and one of the units H, M, S, m, u, n",
            found.escape_ascii()
        )
    })
}

/// Writes a `grpc-timeout` as exactly as its eight digits allow, rounded down: the next hop gets no more time
/// than there is.
pub fn format(timeout: Duration) -> Text {
    const MOST: u128 = 99_999_999;
    const UNITS: [(u8, u128); 6] = [
        (b'n', 1),
        (b'u', 1_000),
        (b'm', 1_000_000),
        (b'S', 1_000_000_000),
        (b'M', 60_000_000_000),
        (b'H', 3_600_000_000_000),
    ];
    let nanos = timeout.as_nanos();
    let fits = UNITS.into_iter().find(|(_, length)| nanos / length <= MOST);
    let (unit, amount) = fits.map_or((b'H', MOST), |(unit, length)| (unit, nanos / length));
    let mut text = Text::new();
    let mut rest = amount;
    loop {
        text.push(b'0' + (rest % 10) as u8);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    text.reverse();
    text.push(unit);
    text
}

/// When a request has to be answered, if at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Deadline(Option<Instant>);

/// How long an attempt is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For ever without one.
    pub timeout: Option<Duration>,
    /// What it means when the time is over.
    pub bound: Bound,
}

impl Deadline {
    pub const NONE: Self = Self(None);

    /// The earliest of these, from now.
    pub fn earliest(now: Instant, timeouts: impl IntoIterator<Item = Option<Duration>>) -> Self {
        let least = timeouts.into_iter().flatten().min();
        Self(least.map(|timeout| now + timeout.min(FOREVER)))
    }

    pub fn at(self) -> Option<Instant> {
        self.0
    }

    /// Nothing once it has passed; `None` if there is no end.
    pub fn remaining(self, now: Instant) -> Option<Duration> {
        self.0.map(|at| at.saturating_duration_since(now))
    }

    pub fn has_passed(self, now: Instant) -> bool {
        self.0.is_some_and(|at| now >= at)
    }

    /// For one attempt, or for a part of the work: no more than is left.
    pub fn patience(self, now: Instant, per_try: Option<Duration>) -> Patience {
        match (self.remaining(now), per_try) {
            (Some(left), Some(timeout)) if timeout < left => {
                Patience { timeout: Some(timeout), bound: Bound::Attempt }
            }
            (None, Some(timeout)) => Patience { timeout: Some(timeout), bound: Bound::Attempt },
            (left, _) => Patience { timeout: left, bound: Bound::Request },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn text(timeout: Duration) -> String {
        String::from_utf8(format(timeout).to_vec()).unwrap()
    }

    #[test]
    fn a_timeout_is_written_in_the_finest_unit_that_holds_it() {
        for (timeout, expected) in [
            (Duration::ZERO, "0n"),
            (Duration::from_nanos(99_999_999), "99999999n"),
            (Duration::from_millis(100), "100000u"),
            (Duration::from_nanos(100_000_999), "100000u"),
            (100 * SECOND, "100000m"),
            (100_000 * SECOND, "100000S"),
            (100_000_000 * SECOND, "1666666M"),
            (Duration::from_secs(6_000_000_000), "1666666H"),
            (Duration::MAX, "99999999H"),
        ] {
            assert_eq!(text(timeout), expected, "{timeout:?}");
        }
    }

    #[test]
    fn a_value_that_is_no_timeout_is_shown_beside_what_is_expected() {
        for value in
            [&b""[..], b"5", b"S", b"123456789S", b"-1S", b"1.5S", b"1s", "1\u{b5}".as_bytes(), b"\xff"]
        {
            let said = parse(value).unwrap_err();
            assert!(said.contains("one to eight digits"), "{said}");
        }
        assert!(parse(b"ten\nS").unwrap_err().starts_with("grpc-timeout is \"ten\\nS\""));
        assert!(parse(&[b'x'; 10_000]).unwrap_err().len() < 200);
        assert_eq!(parse(b"20m"), Ok(Duration::from_millis(20)));
    }

    #[test]
    fn the_earliest_holds() {
        let now = Instant::now();
        let earliest = |header, route| Deadline::earliest(now, [header, route]).remaining(now);
        assert_eq!(earliest(Some(3 * SECOND), Some(2 * SECOND)), Some(2 * SECOND));
        assert_eq!(earliest(Some(SECOND), Some(2 * SECOND)), Some(SECOND));
        assert_eq!(earliest(None, Some(2 * SECOND)), Some(2 * SECOND));
        assert_eq!(earliest(None, None), None);
        assert_eq!(earliest(Some(Duration::MAX), None), Some(FOREVER));
    }

    #[test]
    fn what_is_left_shrinks_to_nothing() {
        let now = Instant::now();
        let deadline = Deadline::earliest(now, [Some(2 * SECOND)]);
        assert_eq!(deadline.remaining(now + SECOND), Some(SECOND));
        assert!(!deadline.has_passed(now + SECOND));
        assert_eq!(deadline.remaining(now + 5 * SECOND), Some(Duration::ZERO));
        assert!(deadline.has_passed(now + 2 * SECOND));
        assert!(!Deadline::NONE.has_passed(now + FOREVER));
    }

    #[test]
    fn a_retry_gets_what_is_left_and_no_more() {
        let now = Instant::now();
        let deadline = Deadline::earliest(now, [Some(5 * SECOND)]);
        let at = |seconds| deadline.patience(now + seconds * SECOND, Some(2 * SECOND));
        assert_eq!(at(0), Patience { timeout: Some(2 * SECOND), bound: Bound::Attempt });
        assert_eq!(at(2), Patience { timeout: Some(2 * SECOND), bound: Bound::Attempt });
        assert_eq!(at(4), Patience { timeout: Some(SECOND), bound: Bound::Request });
        assert_eq!(at(9), Patience { timeout: Some(Duration::ZERO), bound: Bound::Request });
    }

    #[test]
    fn without_a_deadline_an_attempt_has_its_own_or_none() {
        let now = Instant::now();
        assert_eq!(
            Deadline::NONE.patience(now, Some(SECOND)),
            Patience { timeout: Some(SECOND), bound: Bound::Attempt }
        );
        assert_eq!(Deadline::NONE.patience(now, None), Patience { timeout: None, bound: Bound::Request });
    }

    proptest! {
        /// The next hop never has more time than is left, and loses less than a millionth of it, or what a
        /// unit rounds off.
        #[test]
        fn what_is_written_is_read_again(nanos in 0u64..u64::MAX / 4) {
            let timeout = Duration::from_nanos(nanos);
            let read = parse(&format(timeout)).unwrap();
            prop_assert!(read <= timeout);
            prop_assert!(timeout - read <= timeout.div_f64(1e5));
        }
    }
}
