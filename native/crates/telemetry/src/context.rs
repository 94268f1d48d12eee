//! W3C trace context: which trace a caller's request belongs to. <https://www.w3.org/TR/trace-context/>

use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// A longer `tracestate` is dropped; the standard asks for no more.
const MAX_STATE: usize = 512;

/// The caller's span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    pub trace: u128,
    pub span: u64,
    /// Whether the caller records it.
    pub sampled: bool,
    /// `tracestate`, handed on as it is.
    pub state: String,
}

impl Parent {
    /// Reads the two headers. `None` for what is no trace context: such a request begins a trace of its own.
    pub fn parse<'a>(traceparent: &[u8], tracestate: impl Iterator<Item = &'a str>) -> Option<Self> {
        let text = str::from_utf8(traceparent).ok()?.trim();
        let mut parts = text.split('-');
        let mut part = |length| {
            let part = parts.next().filter(|part: &&str| part.len() == length)?;
            let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            part.bytes().all(is_hex).then_some(part)
        };
        let (version, trace, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        // A later version may have more to say, behind what every version says.
        if version == "ff" || version == "00" && parts.next().is_some() {
            return None;
        }
        let trace = u128::from_str_radix(trace, 16).ok().filter(|trace| *trace != 0)?;
        let span = u64::from_str_radix(span, 16).ok().filter(|span| *span != 0)?;
        let flags = u8::from_str_radix(flags, 16).ok()?;
        let mut state = tracestate.collect::<Vec<_>>().join(",");
        if state.len() > MAX_STATE {
            state.clear();
        }
        Some(Self { trace, span, sampled: flags & 1 == 1, state })
    }

    /// As `traceparent` says it, for whoever is called.
    pub fn traceparent(&self) -> String {
        format!("00-{:032x}-{:016x}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}

/// A new id that no other span has.
pub fn span_id() -> u64 {
    // A keyed hash of a counter: the key is the system's randomness.
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        let id = KEY.hash_one(NEXT.fetch_add(1, Relaxed));
        if id != 0 {
            return id;
        }
    }
}

/// A new id that no other trace has.
pub fn trace_id() -> u128 {
    u128::from(span_id()) << 64 | u128::from(span_id())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn parse(text: &str) -> Option<Parent> {
        Parent::parse(text.as_bytes(), ["a=1", "b=2"].into_iter())
    }

    #[test]
    fn a_caller_says_which_trace_and_whether_it_is_recorded() {
        let found = parse(&format!("00-{TRACE}-00f067aa0ba902b7-01")).unwrap();
        assert_eq!((found.trace, found.span), (0x4bf92f3577b34da6a3ce929d0e0e4736, 0x00f067aa0ba902b7));
        assert_eq!((found.sampled, &found.state[..]), (true, "a=1,b=2"));
        assert!(!parse(&format!("00-{TRACE}-00f067aa0ba902b7-00")).unwrap().sampled);
        assert!(parse(&format!("cc-{TRACE}-00f067aa0ba902b7-09-more")).unwrap().sampled);
    }

    #[test]
    fn anything_else_is_no_context() {
        let upper = TRACE.to_uppercase();
        for text in [
            "",
            "00",
            &format!("00-{TRACE}-00f067aa0ba902b7"),
            &format!("00-{TRACE}-00f067aa0ba902b7-1"),
            &format!("00-{TRACE}-00f067aa0ba902b7-01-more"),
            &format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            &format!("00-{upper}-00f067aa0ba902b7-01"),
            &format!("00-{TRACE}-0000000000000000-01"),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(Parent::parse(b"\xff", [].into_iter()), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            trace in 1..=u128::MAX, span in 1..=u64::MAX, sampled: bool, state in "([a-z]=[!-+]{0,9}){0,1}",
        ) {
            let parent = Parent { trace, span, sampled, state };
            let found = Parent::parse(parent.traceparent().as_bytes(), [&parent.state[..]].into_iter());
            prop_assert_eq!(found, Some(parent));
        }

        #[test]
        fn anything_is_a_context_or_none(text in "[0-9a-fg-]{0,70}", bytes: Vec<u8>) {
            for found in [text.as_bytes(), &bytes].map(|it| Parent::parse(it, [].into_iter())) {
                prop_assert!(found.is_none_or(|found| found.trace != 0 && found.span != 0));
            }
        }
    }

    #[test]
    fn a_state_that_is_too_long_is_dropped() {
        let long = "x".repeat(513);
        let text = format!("00-{TRACE}-00f067aa0ba902b7-01");
        assert_eq!(Parent::parse(text.as_bytes(), [&long[..]].into_iter()).unwrap().state, "");
    }

    #[test]
    fn ids_differ() {
        assert_ne!(span_id(), span_id());
        assert_ne!(trace_id(), trace_id());
    }
}
