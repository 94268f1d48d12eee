//! B3: trace context as Zipkin has it, in one header or in several. <https://github.com/openzipkin/b3-propagation>

use crate::context::Parent;

/// What a caller says: which trace it belongs to, and whether that is recorded. Either may be left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Given {
    /// The trace, and the span of the caller.
    pub ids: Option<(u128, u64)>,
    /// `None`: whoever is called decides.
    pub sampled: Option<bool>,
}

impl Given {
    /// Reads `b3`: `{trace}-{span}`, with `-{sampled}` and `-{parent}` perhaps, or `{sampled}` alone. `None` for anything else.
    pub fn single(value: &[u8]) -> Option<Self> {
        let mut parts = str::from_utf8(value).ok()?.trim().split('-');
        let first = parts.next()?;
        let Some(span) = parts.next() else {
            return Some(Self { ids: None, sampled: Some(sampled(first)?) });
        };
        let ids = Some((trace(first)?, id(span)?));
        let sampled = match parts.next() {
            Some(text) => Some(sampled(text)?),
            None => None,
        };
        let parent = parts.next().map(id);
        (parent != Some(None) && parts.next().is_none()).then_some(Self { ids, sampled })
    }

    /// Reads `x-b3-traceid`, `x-b3-spanid`, `x-b3-sampled` and `x-b3-flags`. `None` if they say nothing.
    pub fn several<'a>(header: impl Fn(&'static str) -> Option<&'a str>) -> Option<Self> {
        let ids = match (header(TRACE), header(SPAN)) {
            (Some(given), Some(span)) => trace(given.trim()).zip(id(span.trim())),
            _ => None,
        };
        let is_debug = header(FLAGS).is_some_and(|flags| flags.trim() == "1");
        let sampled =
            if is_debug { Some(true) } else { header(SAMPLED).and_then(|text| sampled(text.trim())) };
        (ids.is_some() || sampled.is_some()).then_some(Self { ids, sampled })
    }
}

pub const SINGLE: &str = "b3";
pub const TRACE: &str = "x-b3-traceid";
pub const SPAN: &str = "x-b3-spanid";
pub const PARENT: &str = "x-b3-parentspanid";
pub const SAMPLED: &str = "x-b3-sampled";
pub const FLAGS: &str = "x-b3-flags";

/// All of them.
pub const NAMES: [&str; 6] = [SINGLE, TRACE, SPAN, PARENT, SAMPLED, FLAGS];

/// The headers for whoever is called: one, and several, because some know only the one and some only the others.
pub fn headers(parent: &Parent) -> [(&'static str, String); 4] {
    let (trace, span) = (format!("{:032x}", parent.trace), format!("{:016x}", parent.span));
    let sampled = u8::from(parent.sampled).to_string();
    [(SINGLE, format!("{trace}-{span}-{sampled}")), (TRACE, trace), (SPAN, span), (SAMPLED, sampled)]
}

/// Of 64 or 128 bits.
fn trace(text: &str) -> Option<u128> {
    let is_id = matches!(text.len(), 16 | 32) && is_hex(text);
    if is_id { u128::from_str_radix(text, 16).ok().filter(|id| *id != 0) } else { None }
}

fn id(text: &str) -> Option<u64> {
    let is_id = text.len() == 16 && is_hex(text);
    if is_id { u64::from_str_radix(text, 16).ok().filter(|id| *id != 0) } else { None }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Older tracers write words; `d` is for debugging, and recorded.
fn sampled(text: &str) -> Option<bool> {
    match text {
        "1" | "d" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LONG: &str = "80f198ee56343ba864fe8b2a57d3eff7";
    const SHORT: &str = "64fe8b2a57d3eff7";

    fn single(text: &str) -> Option<Given> {
        Given::single(text.as_bytes())
    }

    fn several(headers: &[(&'static str, &'static str)]) -> Option<Given> {
        Given::several(|wanted| headers.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value))
    }

    #[test]
    fn one_header_says_it_all() {
        let ids = Some((0x80f198ee56343ba864fe8b2a57d3eff7, 0xe457b5a2e4d86bd1));
        let span = "e457b5a2e4d86bd1";
        for (rest, sampled) in [
            ("", None),
            ("-1", Some(true)),
            ("-d", Some(true)),
            ("-0", Some(false)),
            ("-1-05e3ac9a4f6e3b90", Some(true)),
        ] {
            assert_eq!(single(&format!("{LONG}-{span}{rest}")), Some(Given { ids, sampled }), "{rest}");
        }
        assert_eq!(single(&format!("{SHORT}-{span}")).unwrap().ids.unwrap().0, 0x64fe8b2a57d3eff7);
        assert_eq!(single("0"), Some(Given { ids: None, sampled: Some(false) }));
    }

    #[test]
    fn several_say_the_same() {
        let ids = Some((0x64fe8b2a57d3eff7, 0xe457b5a2e4d86bd1));
        let both = [(TRACE, SHORT), (SPAN, "e457b5a2e4d86bd1")];
        assert_eq!(several(&both), Some(Given { ids, sampled: None }));
        for (header, sampled) in
            [((SAMPLED, "1"), true), ((SAMPLED, "true"), true), ((SAMPLED, "0"), false), ((FLAGS, "1"), true)]
        {
            let found = several(&[both[0], both[1], header]);
            assert_eq!(found, Some(Given { ids, sampled: Some(sampled) }), "{header:?}");
        }
        assert_eq!(several(&[(SAMPLED, "0")]), Some(Given { ids: None, sampled: Some(false) }));
        assert_eq!(several(&[(TRACE, SHORT)]), None);
    }

    #[test]
    fn anything_else_says_nothing() {
        for text in ["", "-", "2", "x", "64fe8b2a57d3eff7", "64fe8b2a57d3eff7-1"] {
            assert_eq!(single(text), None, "{text}");
        }
        for rest in ["-", "-2", "-1-", "-1-x", "-1-05e3ac9a4f6e3b90-", "-1-0000000000000000"] {
            assert_eq!(single(&format!("{LONG}-e457b5a2e4d86bd1{rest}")), None, "{rest}");
        }
        assert_eq!(single(&format!("{LONG}-0000000000000000-1")), None);
        assert_eq!(single("00000000000000000000000000000000-e457b5a2e4d86bd1-1"), None);
        assert_eq!(Given::single(b"\xff"), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_in_both_forms(trace in 1..=u128::MAX, span in 1..=u64::MAX, sampled: bool) {
            let written = headers(&Parent { trace, span, sampled, state: String::new() });
            let header = |wanted| written.iter().find(|(name, _)| *name == wanted).map(|(_, value)| &value[..]);
            let expected = Some(Given { ids: Some((trace, span)), sampled: Some(sampled) });
            prop_assert_eq!(Given::single(header(SINGLE).unwrap().as_bytes()), expected);
            prop_assert_eq!(Given::several(header), expected);
        }

        #[test]
        fn anything_is_read_or_not(text in "[0-9a-fgd-]{0,70}", bytes: Vec<u8>) {
            for found in [text.as_bytes(), &bytes].map(Given::single) {
                let ids = found.and_then(|found| found.ids);
                prop_assert!(ids.is_none_or(|(trace, span)| trace != 0 && span != 0));
            }
        }
    }
}
