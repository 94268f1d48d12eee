//! The connection against bytes that a server might send.

use super::Connection;
use crate::{
    failure::{Failure, Kind},
    link::Event,
    message::Request,
    plan::Plan,
    proto,
    script::Script,
};

fn plan(body: &'static [u8], insert_at: u32) -> Plan {
    let payload = proto::Payload { body: body.into(), insert_at, ..Default::default() };
    let workload = proto::Workload {
        name: "m".into(),
        path: "/v2/models/m/infer".into(),
        headers: vec![proto::Header { name: "x-key".into(), value: "k".into() }],
        weight: 1.0,
        scripts: vec![proto::Script { payloads: vec![payload] }],
        ..Default::default()
    };
    Plan::check(proto::LoadPlan {
        target: Some(proto::Target {
            address: "host:1".into(),
            protocol: proto::Protocol::Http.into(),
            ..Default::default()
        }),
        workloads: vec![workload],
        arrivals: Some(proto::load_plan::Arrivals::Closed(proto::ClosedLoop { concurrency: 1 })),
        ..Default::default()
    })
    .unwrap()
}

fn send(connection: &mut Connection, plan: &Plan, collect: bool) {
    let workload = &plan.workloads[0];
    let request = Request { workload, payload: &workload.payloads[0], step: None, trace: None, collect };
    connection.send(plan, 4, &request);
}

/// What comes of an answer that is read so many bytes at a time.
fn read(answer: &[u8], closed: bool, step: usize) -> (Connection, Result<Option<Event>, Failure>) {
    let plan = plan(b"{}", 0);
    let mut connection = Connection::new(&plan, false);
    send(&mut connection, &plan, true);
    let mut script = Script { closed, ..Script::new(answer, step) };
    let mut events = Vec::new();
    connection.flush(&mut script).unwrap();
    let result = loop {
        match connection.read(&mut script, closed, &mut events) {
            Ok(true) => {}
            Ok(false) => break Ok(events.pop()),
            Err(failure) => break Err(failure),
        }
    };
    (connection, result)
}

fn good(answer: &str, closed: bool, body: &str, lives_on: bool) {
    for step in 1..=answer.len() {
        let (connection, event) = read(answer.as_bytes(), closed, step);
        let Ok(Some(Event::End { ticket: 4, result: Ok(found), received })) = event else {
            panic!("{answer:?} in steps of {step}: {event:?}")
        };
        let wanted = [&(body.len() as u32).to_be_bytes()[..], body.as_bytes()].concat();
        assert_eq!(found, if body.is_empty() { Vec::new() } else { wanted }, "{answer:?}");
        assert_eq!((received, connection.has_room()), (body.len() as u64, lives_on), "{answer:?}");
    }
}

#[test]
fn answers_are_understood_wherever_they_are_cut() {
    good("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", false, "abc", true);
    good("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, "", true);
    good("HTTP/1.1 204 No Content\r\n\r\n", false, "", true);
    good("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", false, "a", true);
    good("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na", false, "a", false);
    good("HTTP/1.1 200 OK\r\n\r\nabc", true, "abc", false);
    good("HTTP/1.0 200 OK\r\n\r\n", true, "", false);
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    good(
        &format!("{chunked}3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: x\r\n\r\n"),
        false,
        "abc0123456789",
        true,
    );
    good(&format!("{chunked}0\r\n\r\n"), false, "", true);
}

#[test]
fn errors_are_told_with_what_the_server_says() {
    let told = |answer: &str| match read(answer.as_bytes(), false, 7).1 {
        Ok(Some(Event::End { result: Err(failure), .. })) => (failure.kind, failure.message),
        other => panic!("{other:?}"),
    };
    let json = "HTTP/1.1 503 Busy\r\nContent-Length: 17\r\n\r\n{\"error\":\"queue\"}";
    assert_eq!(told(json), (Kind::Http(503), "queue".into()));
    let text = "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope";
    assert_eq!(told(text), (Kind::Http(404), "nope".into()));
    assert_eq!(told("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"), (Kind::Http(302), String::new()));
}

#[test]
fn what_is_no_answer_ends_the_connection() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let wrong = [
        ("nonsense\r\n\r\n".to_owned(), Kind::Protocol),
        (format!("{chunked}x\r\n"), Kind::Protocol),
        (format!("{chunked}+1\r\n"), Kind::Protocol),
        (format!("{chunked}fffffffffffffffff\r\n"), Kind::Protocol),
        (format!("{chunked}{}", "1".repeat(70_000)), Kind::Protocol),
        (format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(70_000)), Kind::Protocol),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\n\r\n".into(), Kind::Protocol),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n".into(), Kind::Protocol),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc".into(), Kind::Connection),
        ("HTTP/1.1 200 OK\r\nContent-Le".into(), Kind::Connection),
        (format!("{chunked}3\r\nabc\r\n"), Kind::Connection),
        (String::new(), Kind::Connection),
    ];
    for (answer, kind) in wrong {
        let beginning: String = answer.chars().take(60).collect();
        let failure = read(answer.as_bytes(), true, 50_000).1.expect_err(&beginning);
        assert_eq!(failure.kind, kind, "{beginning}: {}", failure.message);
    }
}

#[test]
fn thousands_of_interim_answers_are_taken_one_by_one() {
    let mut answer = "HTTP/1.1 102 Processing\r\n\r\n".repeat(10_000);
    answer.push_str("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let event = read(answer.as_bytes(), false, answer.len()).1;
    assert!(matches!(event, Ok(Some(Event::End { result: Ok(_), .. }))), "{event:?}");
}

#[test]
fn an_answer_before_the_request_is_sent_is_the_connection_s_last() {
    let plan = plan(&[b' '; 100_000], 0);
    let mut connection = Connection::new(&plan, false);
    send(&mut connection, &plan, false);
    let mut script =
        Script { room: 50_000, ..Script::new(b"HTTP/1.1 413 Large\r\nContent-Length: 0\r\n\r\n", 100) };
    connection.flush(&mut script).unwrap();
    connection.read(&mut script, false, &mut Vec::new()).unwrap();
    assert!(connection.leaving() && !connection.has_room());
}

#[test]
fn a_probe_tells_the_protocol_before_there_are_requests() {
    let plan = plan(b"{}", 0);
    let probed = |answer: &[u8], closed: bool| {
        let mut connection = Connection::new(&plan, true);
        assert!(!connection.settled() && !connection.has_room() && connection.ticket().is_none());
        let mut script = Script { closed, ..Script::new(answer, 100) };
        connection.flush(&mut script).unwrap();
        assert!(script.heard.starts_with(b"GET /v2/health/live HTTP/1.1\r\nHost: host:1\r\n"));
        let mut events = Vec::new();
        let result = connection.read(&mut script, closed, &mut events);
        assert!(events.is_empty());
        result.map(|_| connection.settled() && connection.has_room()).map_err(|failure| failure.message)
    };
    assert_eq!(probed(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 1\r\n\r\nx", false), Ok(true));
    assert_eq!(
        probed(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", false),
        Ok(false)
    );
    assert!(probed(b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64", false).unwrap_err().contains("speaks HTTP/2"));
    assert!(probed(b"", true).unwrap_err().contains("without an answer in HTTP/1.1"));
}

#[test]
fn a_request_carries_what_it_alone_has() {
    use crate::{choice::Chooser, message::Trace};
    let mut plan = plan(br#"{"parameters":{},"inputs":[]}"#, 15);
    plan.workloads[0].sequences = Some(proto::Sequences { first_id: 9, length: 2, ..Default::default() });
    let step = Chooser::new(&plan, 0, 1).next(&plan).unwrap().step;
    let workload = &plan.workloads[0];
    let trace = Some(Trace { id: [0xab; 16], span: [1; 8] });
    let (payload, step) = (&workload.payloads[0], step.as_ref());
    let mut connection = Connection::new(&plan, false);
    connection.send(&plan, 4, &Request { workload, payload, step, trace, collect: false });
    let mut script = Script::new(&[], 1);
    connection.flush(&mut script).unwrap();
    let text = String::from_utf8(script.heard).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let inserted = r#""sequence_id":9,"sequence_start":true,"sequence_end":false"#;
    assert_eq!(body, format!(r#"{{"parameters":{{{inserted}}},"inputs":[]}}"#));
    let trace = "traceparent: 00-abababababababababababababababab-0101010101010101-01";
    let length = format!("Content-Length: {}", body.len());
    for line in ["POST /v2/models/m/infer HTTP/1.1", "Host: host:1", &length, trace, "x-key: k"] {
        assert!(head.lines().any(|found| found == line), "{line} in {head}");
    }
}
