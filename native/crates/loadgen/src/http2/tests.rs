//! The connection against bytes that a peer might send.

use super::{
    connection::Connection,
    frame::{HEAD, Head, PREFACE, flag, kind, put_head, setting},
};
use crate::{
    failure::{Failure, Kind},
    link::Event,
    message::Request,
    plan::Plan,
    proto,
    script::Script,
};

const OK: &[u8] = b"\x88\0\x0bgrpc-status\x010";

fn plan(protocol: proto::Protocol, body: usize) -> Plan {
    let workload = |name: &str| proto::Workload {
        name: name.into(),
        path: "/s/m".into(),
        headers: vec![proto::Header { name: "x-name".into(), value: name.into() }],
        weight: 1.0,
        scripts: vec![proto::Script {
            payloads: vec![proto::Payload { body: vec![7; body].into(), ..Default::default() }],
        }],
        ..Default::default()
    };
    Plan::check(proto::LoadPlan {
        target: Some(proto::Target {
            address: "a:1".into(),
            protocol: protocol.into(),
            ..Default::default()
        }),
        workloads: vec![workload("a"), workload("b")],
        arrivals: Some(proto::load_plan::Arrivals::Closed(proto::ClosedLoop { concurrency: 1 })),
        ..Default::default()
    })
    .unwrap()
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    [&put_head(payload.len(), kind, flags, stream)[..], payload].concat()
}

fn settings(entries: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> = entries
        .iter()
        .flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat())
        .collect();
    frame(kind::SETTINGS, 0, 0, &payload)
}

fn window(stream: u32, count: u32) -> Vec<u8> {
    frame(kind::WINDOW_UPDATE, 0, stream, &count.to_be_bytes())
}

/// An answer of one empty message, and OK.
fn answer(stream: u32) -> Vec<u8> {
    let trailers = frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, stream, OK);
    [frame(kind::DATA, 0, stream, &[0; 5]), trailers].concat()
}

/// One side of a connection, and what it said.
struct Client {
    plan: Plan,
    connection: Connection,
    events: Vec<Event>,
}

impl Client {
    fn new(protocol: proto::Protocol, body: usize) -> Self {
        let plan = plan(protocol, body);
        let connection = Connection::new(&plan);
        Self { plan, connection, events: Vec::new() }
    }

    /// A unary one that has seen these settings.
    fn settled(body: usize, entries: &[(u16, u32)]) -> Self {
        let mut client = Self::new(proto::Protocol::Grpc, body);
        client.hear(&settings(entries)).unwrap();
        client
    }

    fn send(&mut self, ticket: usize, workload: usize) -> u32 {
        let workload = &self.plan.workloads[workload];
        assert!(self.connection.has_room(workload.route));
        let payload = &workload.payloads[0];
        let request = Request { workload, payload, step: None, trace: None, collect: false };
        self.connection.send(&self.plan, ticket, &request)
    }

    fn hear(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.hear_in(bytes, bytes.len())
    }

    /// Reads bytes, so many at once.
    fn hear_in(&mut self, bytes: &[u8], step: usize) -> Result<(), Failure> {
        let mut script = Script::new(bytes, step);
        while self.connection.read(&mut script, false, &mut self.events)? {}
        Ok(())
    }

    /// The frames that it has written since the last call.
    fn said(&mut self) -> Vec<(u8, u8, u32, Vec<u8>)> {
        let mut script = Script::new(&[], 1);
        self.connection.flush(&mut script).unwrap();
        let mut rest = script.heard.strip_prefix(PREFACE).unwrap_or(&script.heard);
        let mut frames = Vec::new();
        while let Some(head) = rest.first_chunk::<HEAD>() {
            let head = Head::parse(head);
            let payload = &rest[HEAD..HEAD + head.length];
            frames.push((head.kind, head.flags, head.stream, payload.to_vec()));
            rest = &rest[HEAD + head.length..];
        }
        assert!(rest.is_empty());
        frames
    }

    /// Bytes of DATA on each stream, and whether it was ended, since the last call.
    fn sent(&mut self) -> Vec<(u32, usize, bool)> {
        let mut sums: Vec<(u32, usize, bool)> = Vec::new();
        for (kind, flags, stream, payload) in self.said() {
            if kind == kind::DATA {
                let end = flags & flag::END_STREAM != 0;
                match sums.iter_mut().find(|sum| sum.0 == stream) {
                    Some(sum) => *sum = (stream, sum.1 + payload.len(), end),
                    None => sums.push((stream, payload.len(), end)),
                }
            }
        }
        sums
    }

    /// Tickets of requests that have ended, with how.
    fn ended(&mut self) -> Vec<(usize, Option<Kind>)> {
        let events = self.events.drain(..).filter_map(|event| match event {
            Event::End { ticket, result, .. } => Some((ticket, result.err().map(|failure| failure.kind))),
            Event::Message { .. } => None,
        });
        events.collect()
    }
}

#[test]
fn an_answer_is_understood_wherever_it_is_cut() {
    let bytes = [
        settings(&[]),
        frame(kind::PING, 0, 0, b"12345678"),
        // Padded HEADERS that continue twice; padded DATA; trailers.
        frame(kind::HEADERS, flag::PADDED, 1, &[&[2], &b"\x88"[..], &[0; 2]].concat()),
        frame(kind::CONTINUATION, 0, 1, b"\0\x01a"),
        frame(kind::CONTINUATION, flag::END_HEADERS, 1, b"\x01b"),
        frame(kind::DATA, flag::PADDED, 1, &[&[3], &[0, 0, 0, 0, 2, b'x'][..], &[0; 3]].concat()),
        frame(kind::DATA, flag::PADDED, 1, &[&[0], &b"y"[..]].concat()),
        frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 1, &OK[1..]),
    ]
    .concat();
    for step in 1..=bytes.len() {
        let mut client = Client::new(proto::Protocol::Grpc, 0);
        // The stream must be open before it is answered.
        client.connection.settled = true;
        client.send(3, 0);
        client.hear_in(&bytes, step).unwrap();
        let [Event::End { ticket: 3, result: Ok(_), received: 2 }] = &client.events[..] else {
            panic!("in steps of {step}: {:?}", client.events)
        };
        let acknowledged: Vec<_> =
            client.said().into_iter().filter(|said| said.1 & flag::ACK != 0 && said.2 == 0).collect();
        let ping = (kind::PING, flag::ACK, 0, b"12345678".to_vec());
        assert_eq!(acknowledged, [(kind::SETTINGS, flag::ACK, 0, Vec::new()), ping]);
    }
}

#[test]
fn a_body_is_sent_as_the_windows_let() {
    // 100 bytes and a prefix of 5, at most 40 of them at once.
    let mut client = Client::settled(100, &[(setting::INITIAL_WINDOW_SIZE, 40)]);
    client.send(0, 0);
    assert_eq!(client.sent(), [(1, 40, false)]);
    client.hear(&window(1, 10)).unwrap();
    assert_eq!(client.sent(), [(1, 10, false)]);
    // 20 less for every stream, and then 100 more than that.
    client.hear(&settings(&[(setting::INITIAL_WINDOW_SIZE, 20)])).unwrap();
    client.hear(&window(1, 20)).unwrap();
    assert_eq!(client.sent(), [], "the window was below zero");
    client.hear(&settings(&[(setting::INITIAL_WINDOW_SIZE, 60)])).unwrap();
    assert_eq!(client.sent(), [(1, 40, false)]);
    client.hear(&window(1, 1_000)).unwrap();
    assert_eq!(client.sent(), [(1, 15, true)]);
}

#[test]
fn streams_take_turns_for_the_window_of_the_connection() {
    let mut client = Client::settled(40_000, &[(setting::INITIAL_WINDOW_SIZE, 1 << 20)]);
    for ticket in 0..3 {
        client.send(ticket, 0);
    }
    assert_eq!(client.sent(), [(1, 40_005, true), (3, 65_535 - 40_005, false)]);
    // One that is given up leaves its turn to the next.
    client.connection.cancel(3);
    client.hear(&window(0, 40_000)).unwrap();
    assert_eq!(client.sent(), [(5, 40_000, false)]);
    client.hear(&window(0, 5)).unwrap();
    assert_eq!(client.sent(), [(5, 5, true)]);
}

#[test]
fn frames_are_as_long_as_the_peer_takes_them() {
    let mut client = Client::settled(40_000, &[]);
    client.send(0, 0);
    let lengths: Vec<_> =
        client.said().iter().filter(|said| said.0 == kind::DATA).map(|said| said.3.len()).collect();
    assert_eq!(lengths, [16_384, 16_384, 40_005 - 2 * 16_384]);
    client.hear(&settings(&[(setting::MAX_FRAME_SIZE, 20_000)])).unwrap();
    client.send(1, 0);
    let longest = client.said().iter().map(|said| said.3.len()).max();
    assert_eq!(longest, Some(20_000));
}

#[test]
fn no_more_streams_are_opened_than_the_peer_allows() {
    let mut client = Client::settled(0, &[(setting::MAX_CONCURRENT_STREAMS, 2)]);
    client.send(0, 0);
    client.send(1, 0);
    assert!(!client.connection.has_room(0));
    client.hear(&answer(1)).unwrap();
    assert!(client.connection.has_room(0));
    client.hear(&settings(&[(setting::MAX_CONCURRENT_STREAMS, 0)])).unwrap();
    assert!(!client.connection.has_room(0));
}

#[test]
fn who_leaves_says_what_it_has_not_looked_at() {
    let mut client = Client::settled(0, &[]);
    for ticket in 0..3 {
        client.send(ticket, 0);
    }
    let goaway = [&3u32.to_be_bytes()[..], &11u32.to_be_bytes(), b"too_many_pings"].concat();
    client.hear(&frame(kind::GOAWAY, 0, 0, &goaway)).unwrap();
    assert_eq!(client.ended(), [(2, Some(Kind::Status(14)))]);
    assert!(client.connection.leaving() && !client.connection.has_room(0));
    client.hear(&answer(3)).unwrap();
    assert_eq!(client.ended(), [(1, None)]);
    assert_eq!(client.connection.tickets().collect::<Vec<_>>(), [0]);
    let mut script = Script { closed: true, ..Script::new(&[], 1) };
    let why = client.connection.read(&mut script, true, &mut client.events).unwrap_err();
    assert!(why.message.ends_with("GOAWAY ENHANCE_YOUR_CALM too_many_pings"), "{}", why.message);
}

#[test]
fn resets_are_statuses_of_grpc() {
    let mut client = Client::settled(100, &[(setting::INITIAL_WINDOW_SIZE, 10)]);
    for (ticket, code) in [7u32, 8, 2].into_iter().enumerate() {
        let stream = client.send(ticket, 0);
        client.hear(&frame(kind::RST_STREAM, 0, stream, &code.to_be_bytes())).unwrap();
        // What comes late is nobody's.
        client.hear(&[answer(stream), window(stream, 5)].concat()).unwrap();
    }
    let kinds = [14, 1, 13].map(|status| Some(Kind::Status(status)));
    assert_eq!(client.ended(), [(0, kinds[0].clone()), (1, kinds[1].clone()), (2, kinds[2].clone())]);
}

#[test]
fn an_answer_before_the_request_is_sent_ends_it() {
    let mut client = Client::settled(100, &[(setting::INITIAL_WINDOW_SIZE, 10)]);
    client.send(0, 0);
    client.said();
    let refused = b"\x88\0\x0bgrpc-status\x018\0\x0cgrpc-message\x09too%20big";
    client.hear(&frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 1, refused)).unwrap();
    let [Event::End { result: Err(failure), .. }] = &client.events[..] else { panic!("{:?}", client.events) };
    assert_eq!(*failure, Failure::status(8, "too big"));
    assert_eq!(client.said(), [(kind::RST_STREAM, 0, 1, 8u32.to_be_bytes().to_vec())]);
}

#[test]
fn a_wrong_message_is_its_request_s_alone() {
    let mut client = Client::settled(0, &[]);
    client.send(0, 0);
    client.send(1, 0);
    client.hear(&frame(kind::DATA, 0, 1, &[1, 0, 0, 0, 0])).unwrap();
    client.hear(&answer(3)).unwrap();
    assert_eq!(client.ended(), [(0, Some(Kind::Protocol)), (1, None)]);
}

#[test]
fn what_ends_without_an_answer_is_no_success() {
    let mut client = Client::settled(0, &[]);
    let end = flag::END_HEADERS | flag::END_STREAM;
    let answers = [
        // OK without a message, OK within one, no status, a status of HTTP alone.
        frame(kind::HEADERS, end, 1, OK),
        [frame(kind::DATA, 0, 3, &[0, 0, 0, 0, 9]), frame(kind::HEADERS, end, 3, OK)].concat(),
        frame(kind::HEADERS, end, 5, b"\x88"),
        frame(kind::HEADERS, end, 7, b"\x08\x03502"),
    ];
    for (ticket, answer) in answers.iter().enumerate() {
        client.send(ticket, 0);
        client.hear(answer).unwrap();
    }
    let kinds: Vec<_> = client.ended().into_iter().map(|(_, kind)| kind).collect();
    let protocol = Some(Kind::Protocol);
    assert_eq!(kinds, [protocol.clone(), protocol.clone(), protocol, Some(Kind::Http(502))]);
}

#[test]
fn what_no_peer_may_send_ends_the_connection() {
    let long = vec![0; 70_000];
    let wrong = [
        ("DATA on a stream that nobody opened", frame(kind::DATA, 0, 3, b"")),
        ("DATA on no stream", frame(kind::DATA, 0, 0, b"")),
        ("HEADERS on an even stream", frame(kind::HEADERS, flag::END_HEADERS, 2, OK)),
        ("padding alone", frame(kind::DATA, flag::PADDED, 1, &[9, 0])),
        ("padding beyond HEADERS", frame(kind::HEADERS, flag::PADDED | flag::END_HEADERS, 1, &[9, 0])),
        ("no HPACK", frame(kind::HEADERS, flag::END_HEADERS, 1, &[0x80])),
        ("a frame within a header block", [frame(kind::HEADERS, 0, 1, OK), settings(&[])].concat()),
        (
            "DATA within a header block",
            [frame(kind::HEADERS, 0, 1, OK), frame(kind::DATA, 0, 1, b"")].concat(),
        ),
        (
            "a block that continues elsewhere",
            [frame(kind::HEADERS, 0, 1, OK), frame(kind::CONTINUATION, 0, 3, b"")].concat(),
        ),
        ("a stray CONTINUATION", frame(kind::CONTINUATION, 0, 1, b"")),
        ("a promise", frame(kind::PUSH_PROMISE, 0, 1, &[0; 4])),
        ("a short PING", frame(kind::PING, 0, 0, b"1")),
        ("a short RST_STREAM", frame(kind::RST_STREAM, 0, 1, b"1")),
        ("a short GOAWAY", frame(kind::GOAWAY, 0, 0, &[0; 7])),
        ("SETTINGS on a stream", frame(kind::SETTINGS, 0, 1, b"")),
        ("half a setting", frame(kind::SETTINGS, 0, 0, b"12345")),
        ("a window too large", settings(&[(setting::INITIAL_WINDOW_SIZE, 1 << 31)])),
        ("frames too small", settings(&[(setting::MAX_FRAME_SIZE, 100)])),
        ("no more window", window(0, 0)),
        ("too much window", [window(0, (1 << 31) - 1), window(0, 1)].concat()),
        ("window of a stream that nobody opened", window(5, 1)),
        ("a frame that is too long", frame(kind::HEADERS, flag::END_HEADERS, 1, &long)),
    ];
    for (what, bytes) in wrong {
        let mut client = Client::settled(0, &[]);
        client.send(0, 0);
        let failure = client.hear(&bytes).expect_err(what);
        assert_eq!(failure.kind, Kind::Protocol, "{what}");
    }
}

#[test]
fn a_header_block_has_an_end() {
    let mut client = Client::settled(0, &[]);
    client.send(0, 0);
    client.hear(&frame(kind::HEADERS, 0, 1, b"")).unwrap();
    let part = frame(kind::CONTINUATION, 0, 1, &[0x88; 16_000]);
    let refused = (0..5).find_map(|_| client.hear(&part).err());
    assert!(refused.unwrap().message.contains("too long"));
}

#[test]
fn a_peer_that_asks_and_never_reads_is_left() {
    let mut client = Client::settled(0, &[]);
    let pings = frame(kind::PING, 0, 0, &[0; 8]).repeat(1_000);
    let refused = (0..11).find_map(|_| client.hear(&pings).err());
    assert!(refused.unwrap().message.contains("more answers than it reads"));
    // One that reads may go on asking.
    let mut client = Client::settled(0, &[]);
    for _ in 0..11 {
        client.hear(&pings).unwrap();
        client.said();
    }
}

#[test]
fn a_peer_that_never_reads_gets_no_more_requests() {
    let mut client = Client::settled(8_000, &[(setting::INITIAL_WINDOW_SIZE, 1 << 30)]);
    client.hear(&window(0, 1 << 30)).unwrap();
    let mut count = 0;
    while client.connection.has_room(0) {
        client.send(count, 0);
        count += 1;
    }
    assert!((100..200).contains(&count), "{count} requests of 8 kB");
    let mut script = Script { room: 20_000, ..Script::new(&[], 1) };
    client.connection.flush(&mut script).unwrap();
    assert!(client.connection.has_room(0));
}

#[test]
fn other_protocols_are_named() {
    let said = |bytes: &[u8]| {
        let mut client = Client::new(proto::Protocol::Grpc, 0);
        let failure = client.hear(bytes).unwrap_err();
        assert!(!client.connection.settled());
        failure.message
    };
    assert!(said(b"HTTP/1.1 400 Bad Request\r\n\r\n").contains("answers in HTTP/1.1"));
    assert!(said(b"\x15\x03\x03\0\x02\x02\x46").contains("speaks TLS"));
    assert!(said(b"220 smtp.example ready\r\n").contains("bytes"));
    assert!(said(&frame(kind::PING, 0, 0, &[0; 8])).contains("does not begin with SETTINGS"));
    let goaway = frame(kind::GOAWAY, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 12]);
    assert!(said(&goaway).contains("GOAWAY INADEQUATE_SECURITY"));
    let mut script = Script { closed: true, ..Script::new(&[], 1) };
    let mut client = Client::new(proto::Protocol::Grpc, 0);
    let closed = client.connection.read(&mut script, true, &mut Vec::new()).unwrap_err();
    assert!(closed.message.contains("before a word of HTTP/2"));
}

mod streams {
    use super::*;

    const LIMIT: &[(u16, u32)] = &[(setting::MAX_CONCURRENT_STREAMS, 1)];

    fn client(body: usize, entries: &[(u16, u32)]) -> Client {
        let mut client = Client::new(proto::Protocol::GrpcStream, body);
        client.hear(&settings(entries)).unwrap();
        client
    }

    #[test]
    fn one_request_follows_another() {
        let mut client = client(10, &[]);
        assert_eq!((client.send(0, 0), client.send(1, 0)), (1, 3));
        client.hear(&frame(kind::DATA, 0, 1, &[0, 0, 0, 0, 1, 7])).unwrap();
        assert!(matches!(&client.events[..], [Event::Message { ticket: 0, message }] if message == "\x07"));
        client.connection.release(1);
        assert_eq!((client.send(2, 0), client.send(3, 1)), (1, 5), "another workload has other headers");
        assert_eq!(client.sent(), [(1, 30, false), (3, 15, false), (5, 15, false)]);
    }

    #[test]
    fn a_stream_that_was_answered_too_early_is_not_used_again() {
        let mut client = client(100, &[(setting::INITIAL_WINDOW_SIZE, 10)]);
        client.send(0, 0);
        client.said();
        client.hear(&frame(kind::DATA, 0, 1, &[0; 5])).unwrap();
        client.connection.release(1);
        assert_eq!(client.said(), [(kind::RST_STREAM, 0, 1, 8u32.to_be_bytes().to_vec())]);
        assert_eq!(client.send(1, 0), 3);
    }

    #[test]
    fn idle_streams_make_room_for_other_workloads() {
        let mut client = client(0, LIMIT);
        client.send(0, 0);
        assert!(!client.connection.has_room(1) && !client.connection.make_room(1), "it is not idle");
        client.connection.release(1);
        assert!(!client.connection.has_room(1) && client.connection.has_room(0));
        client.said();
        assert!(client.connection.make_room(1));
        assert!(!client.connection.make_room(1) && !client.connection.has_room(0));
        assert_eq!(client.sent(), [(1, 0, true)]);
        client.hear(&frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 1, OK)).unwrap();
        assert_eq!(client.said(), [], "both sides have ended it");
        assert_eq!(client.send(1, 1), 3);
        assert!(client.ended().is_empty());
    }

    #[test]
    fn a_stream_that_ends_takes_its_request_with_it() {
        let mut client = client(0, &[]);
        client.send(0, 0);
        client.send(1, 0);
        client.connection.release(3);
        for stream in [1, 3] {
            let refused = b"\x88\0\x0bgrpc-status\x0214";
            client
                .hear(&frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, stream, refused))
                .unwrap();
        }
        assert_eq!(client.ended(), [(0, Some(Kind::Status(14)))]);
        assert_eq!(client.send(2, 0), 5, "an idle stream that the peer ended is gone");
    }
}
