use super::*;
use http::Request;
use infermesh_telemetry::{rules::Choice, traces};

const CALLER: &str = "00-0000000000000000000000000000000a-000000000000000b-0";

fn tracing(given: Option<proto::Tracing>, is_on: bool) -> Tracing {
    let traces = Arc::<Traces>::default();
    if is_on {
        let choice = Choice { on: Some(true), rate: Some(1), count: None };
        traces.start(traces::Settings { choice, ..Default::default() });
    }
    Tracing::new(given.as_ref(), traces)
}

fn given(join: bool, b3: bool) -> Option<proto::Tracing> {
    Some(proto::Tracing { sample_rate: 1.0, join, b3 })
}

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    lines.iter().fold(HeaderMap::new(), |mut all, (name, value)| {
        all.append(*name, value.parse().unwrap());
        all
    })
}

fn caller(sampled: bool) -> String {
    format!("{CALLER}{}", u8::from(sampled))
}

fn parent(headers: &HeaderMap) -> Option<Parent> {
    headers::read(headers).parent
}

#[test]
fn where_nobody_wants_to_know_nothing_is_read_or_written() {
    let mut found = headers(&[("traceparent", &caller(true))]);
    let context = tracing(None, false).begin(Direction::Inbound, &mut found, false);
    assert!(context.id.is_none() && context.trace.is_none());
    assert_eq!(found, headers(&[("traceparent", &caller(true))]));
}

#[test]
fn the_caller_decides_whether_its_trace_is_recorded() {
    let tracing = tracing(given(false, false), true);
    for sampled in [true, false] {
        let mut found = headers(&[("traceparent", &caller(sampled)), ("tracestate", "a=1")]);
        let before = found.clone();
        let context = tracing.begin(Direction::Inbound, &mut found, false);
        assert_eq!((context.id, context.trace.is_some()), (Some(10), sampled));
        // Attempts say more; what is not recorded passes as it came.
        assert_eq!(found, before);
    }
}

#[test]
fn an_attempt_is_below_the_request_and_that_below_its_caller() {
    let head = Request::post("http://x/a.B/C").body(()).unwrap();
    let attempt = |direction, found: &mut HeaderMap| {
        let trace = tracing(given(false, false), true).begin(direction, found, false).trace.unwrap();
        let attempt = trace.attempt(&head, true, ("x".into(), Some(1)), 0, Instant::now());
        attempt.write(found);
        (trace, parent(found).unwrap())
    };
    let mut found = headers(&[("traceparent", &caller(true)), ("tracestate", "a=1")]);
    let (trace, written) = attempt(Direction::Inbound, &mut found);
    assert_eq!((trace.caller, written.trace, &written.state[..]), (11, 10, "a=1"));
    assert!(trace.own.is_some() && trace.own != Some(written.span) && written.span != 11);
    // The app's own span is the parent of what it sends.
    let mut found = headers(&[("traceparent", &caller(true))]);
    let (trace, _) = attempt(Direction::Outbound, &mut found);
    assert_eq!((trace.own, trace.below()), (None, 11));
    // Where a trace begins nothing stale is left.
    let mut found = headers(&[("tracestate", "a=1")]);
    let (trace, written) = attempt(Direction::Unspecified, &mut found);
    assert_eq!((trace.caller, &written.state[..]), (0, ""));
}

#[test]
fn who_begins_a_trace_decides_for_those_behind() {
    let traces = Arc::<Traces>::default();
    let choice = Choice { on: Some(true), rate: Some(2), count: None };
    traces.start(traces::Settings { choice, ..Default::default() });
    let tracing = Tracing::new(given(false, false).as_ref(), traces);
    let mut found = HeaderMap::new();
    let context = tracing.begin(Direction::Outbound, &mut found, false);
    assert!(context.trace.is_none());
    let written = parent(&found).unwrap();
    assert_eq!((Some(written.trace), written.sampled), (context.id, false));
}

#[test]
fn b3_is_understood_and_spoken_where_it_is_wanted() {
    let b3 = "000000000000000a-000000000000000b-0";
    let mut found = headers(&[("b3", b3)]);
    tracing(given(false, false), false).begin(Direction::Inbound, &mut found, false);
    assert_eq!(found["traceparent"], caller(false));
    assert_eq!(found["b3"], b3);
    // Left to others to decide: W3C cannot say that.
    let mut found = headers(&[("b3", "000000000000000a-000000000000000b")]);
    tracing(given(false, false), false).begin(Direction::Inbound, &mut found, false);
    assert!(!found.contains_key("traceparent"));
    let context = tracing(given(false, false), true).begin(Direction::Inbound, &mut found, false);
    assert_eq!(context.trace.unwrap().id, 10);
    let mut found = headers(&[("traceparent", &caller(false))]);
    tracing(given(false, true), false).begin(Direction::Inbound, &mut found, false);
    assert_eq!(found["x-b3-traceid"], "0000000000000000000000000000000a");
    assert_eq!(found["x-b3-sampled"], "0");
    assert_eq!(found["traceparent"], caller(false));
}

#[test]
fn what_an_app_sends_is_joined_to_what_it_answers() {
    let tracing = tracing(given(true, false), true);
    let mut inbound = headers(&[("traceparent", &caller(true)), ("tracestate", "a=1")]);
    let context = tracing.begin(Direction::Inbound, &mut inbound, false);
    let own = context.trace.as_ref().unwrap().own.unwrap();
    let id = inbound["x-request-id"].to_str().unwrap().to_owned();
    let send = |lines: &[(&'static str, &str)]| {
        let mut found = headers(lines);
        let trace = tracing.begin(Direction::Outbound, &mut found, false).trace.unwrap();
        (trace.id, trace.below(), found.get("tracestate").cloned())
    };
    let joined = (10, own, Some("a=1".parse().unwrap()));
    assert_eq!(send(&[]), joined);
    // Of two it has to be said which.
    let other = tracing.begin(Direction::Inbound, &mut headers(&[("x-request-id", "other")]), false);
    assert_ne!(send(&[]).0, 10);
    assert_eq!(send(&[("x-request-id", &id)]), joined);
    assert_eq!(send(&[("x-request-id", "other")]).0, other.id.unwrap());
    // An app that says it is believed.
    let said = format!("00-{:032x}-{:016x}-01", 20, 21);
    assert_eq!(send(&[("traceparent", &said), ("x-request-id", &id)]).0, 20);
    drop(other);
    drop(context);
    assert_ne!(send(&[("x-request-id", &id)]).0, 10);
}

#[test]
fn contexts_are_joined_also_while_nothing_is_recorded() {
    let tracing = tracing(given(true, false), false);
    let context = tracing.begin(Direction::Inbound, &mut headers(&[("traceparent", &caller(true))]), false);
    let mut found = HeaderMap::new();
    tracing.begin(Direction::Outbound, &mut found, false);
    assert_eq!(found["traceparent"], caller(true));
    drop(context);
}
