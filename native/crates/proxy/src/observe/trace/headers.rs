//! Trace contexts in headers.

use crate::headers::TRACEPARENT;
use http::{HeaderMap, HeaderName, HeaderValue};
use infermesh_telemetry::{
    Parent,
    b3::{self, Given},
};

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// What a caller says.
#[derive(Debug, Default, PartialEq)]
pub struct Caller {
    pub parent: Option<Parent>,
    /// Whether the trace is recorded; `None`: that is left to us.
    pub decided: Option<bool>,
    /// Whether it says so as W3C has it.
    pub is_w3c: bool,
}

/// W3C is taken before B3, and one header before several.
pub fn read(headers: &HeaderMap) -> Caller {
    let text = |value: &'_ HeaderValue| value.to_str().ok().map(str::to_owned);
    let states: Vec<_> = headers.get_all(TRACESTATE).into_iter().filter_map(text).collect();
    let w3c = headers
        .get(TRACEPARENT)
        .and_then(|value| Parent::parse(value.as_bytes(), states.iter().map(String::as_str)));
    if let Some(parent) = w3c {
        return Caller { decided: Some(parent.sampled), parent: Some(parent), is_w3c: true };
    }
    let single = headers.get(b3::SINGLE).and_then(|value| Given::single(value.as_bytes()));
    let several = || Given::several(|name| headers.get(name).and_then(|value| value.to_str().ok()));
    let Given { ids, sampled } = single.or_else(several).unwrap_or_default();
    let parent = ids.map(|(trace, span)| {
        let sampled = sampled.unwrap_or_default();
        Parent { trace, span, sampled, state: String::new() }
    });
    Caller { parent, decided: sampled, is_w3c: false }
}

/// Says it to whoever is called, in place of what the caller said; `tracestate` stays.
pub fn write(headers: &mut HeaderMap, context: &Parent, b3: bool) {
    if let Ok(value) = HeaderValue::try_from(context.traceparent()) {
        headers.insert(TRACEPARENT, value);
    }
    if b3 {
        for name in b3::NAMES {
            headers.remove(name);
        }
        for (name, value) in b3::headers(context) {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
    }
}

/// Of a context that did not come with these headers.
pub fn write_state(headers: &mut HeaderMap, state: &str) {
    headers.remove(TRACESTATE);
    if !state.is_empty()
        && let Ok(state) = HeaderValue::from_str(state)
    {
        headers.insert(TRACESTATE, state);
    }
}

/// Nothing is left of what they say of one request, but this.
pub fn speak_for(headers: &mut HeaderMap, traceparent: Option<HeaderValue>) {
    for name in b3::NAMES {
        headers.remove(name);
    }
    for name in [TRACEPARENT, TRACESTATE, REQUEST_ID] {
        headers.remove(name);
    }
    if let Some(value) = traceparent {
        headers.insert(TRACEPARENT, value);
    }
}

/// Whether they say anything as B3 has it.
pub fn has_b3(headers: &HeaderMap) -> bool {
    headers.contains_key(b3::SINGLE) || headers.contains_key(b3::TRACE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const W3C: (&str, &str) = ("traceparent", "00-0000000000000000000000000000000a-000000000000000b-01");
    const B3: (&str, &str) = ("b3", "000000000000000c-000000000000000d-0");

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines.iter().fold(HeaderMap::new(), |mut all, (name, value)| {
            all.append(*name, HeaderValue::from_static(value));
            all
        })
    }

    fn ids(caller: &Caller) -> Option<(u128, u64)> {
        caller.parent.as_ref().map(|parent| (parent.trace, parent.span))
    }

    #[test]
    fn either_form_is_read_and_w3c_first() {
        let found = read(&headers(&[B3, W3C, ("tracestate", "a=1"), ("tracestate", "b=2")]));
        assert_eq!((ids(&found), found.decided, found.is_w3c), (Some((10, 11)), Some(true), true));
        assert_eq!(found.parent.unwrap().state, "a=1,b=2");
        let several = [("x-b3-traceid", "000000000000000e"), ("x-b3-spanid", "000000000000000f")];
        let found = read(&headers(&[several[0], several[1], B3]));
        assert_eq!((ids(&found), found.decided, found.is_w3c), (Some((12, 13)), Some(false), false));
        let found = read(&headers(&several));
        assert_eq!((ids(&found), found.decided), (Some((14, 15)), None));
        assert_eq!(read(&headers(&[("traceparent", "00-broken")])), Caller::default());
        assert_eq!(read(&headers(&[("b3", "0")])), Caller { decided: Some(false), ..Default::default() });
    }

    #[test]
    fn nothing_of_what_the_caller_said_contradicts_what_is_written() {
        let stale =
            [B3, ("x-b3-flags", "1"), ("x-b3-parentspanid", "000000000000000a"), ("tracestate", "a=1")];
        let context = Parent { trace: 20, span: 21, sampled: true, state: String::new() };
        let mut found = headers(&stale);
        write(&mut found, &context, true);
        assert_eq!(found["x-b3-spanid"], "0000000000000015");
        assert_eq!(found["b3"], "00000000000000000000000000000014-0000000000000015-1");
        assert!(!found.contains_key("x-b3-flags") && !found.contains_key("x-b3-parentspanid"));
        assert_eq!(found["tracestate"], "a=1");
        assert_eq!(ids(&read(&found)), Some((20, 21)));
        write_state(&mut found, "");
        assert!(!found.contains_key("tracestate"));
        write_state(&mut found, "c=3");
        assert_eq!(read(&found).parent.unwrap().state, "c=3");
    }

    #[test]
    fn b3_passes_untouched_unless_it_is_wanted() {
        let mut found = headers(&[B3, ("baggage", "k=v")]);
        write(&mut found, &Parent { trace: 1, span: 2, sampled: false, state: String::new() }, false);
        assert_eq!(found["b3"], B3.1);
        assert_eq!(found["baggage"], "k=v");
    }
}
