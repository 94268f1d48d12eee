//! A door for the fuzz target to what a hostile server reaches: both clients, and what they make of answers.
//!
//! It panics if a request ends twice, or ends that was never sent.

use crate::{
    answer, http1, http2,
    link::Event,
    message::Request,
    plan::Plan,
    proto::{self, ExpectedTensor, Tolerance, load_plan::Arrivals},
    script::Script,
};
use bytes::Bytes;
use std::{collections::BTreeMap, sync::LazyLock};

/// Requests under way at once over HTTP/2.
const MOST: usize = 4;
/// Of one input in all.
const REQUESTS: usize = 100;

static PLANS: LazyLock<[Plan; 3]> = LazyLock::new(|| {
    [proto::Protocol::Grpc, proto::Protocol::GrpcStream, proto::Protocol::Http].map(|protocol| {
        let expected = ExpectedTensor {
            name: "y".into(),
            datatype: "FP32".into(),
            shape: vec![1],
            data: vec![0; 4].into(),
        };
        let workload = |name: &str, expected: Vec<ExpectedTensor>| proto::Workload {
            name: name.into(),
            path: format!("/{name}"),
            weight: 1.0,
            scripts: vec![proto::Script {
                payloads: vec![proto::Payload { body: vec![0; 100].into(), expected, ..Default::default() }],
            }],
            ..Default::default()
        };
        #[allow(clippy::expect_used)]
        Plan::check(proto::LoadPlan {
            target: Some(proto::Target {
                address: "a:1".into(),
                protocol: protocol.into(),
                ..Default::default()
            }),
            workloads: vec![workload("m", Vec::new()), workload("n", vec![expected])],
            arrivals: Some(Arrivals::Closed(proto::ClosedLoop { concurrency: 1 })),
            ..Default::default()
        })
        .expect("a constant plan is good")
    })
});

/// What comes of `input` from a server that sends `step` bytes, reads `room` bytes, and so on.
pub fn answers(protocol: u8, step: usize, room: usize, input: &[u8]) {
    let index = usize::from(protocol) % PLANS.len();
    let plan = &PLANS[index];
    // At the end it closes the connection, or only falls silent.
    let closes = protocol & 0x80 != 0;
    let turns = input.chunks(step.max(1)).map(|piece| Script { room, ..Script::new(piece, piece.len()) });
    let last = Script { closed: true, room, ..Script::default() };
    let turns = turns.chain(closes.then_some(last));
    if index == 2 { http(plan, turns) } else { grpc(plan, turns, index == 1) }
}

fn request(plan: &Plan, ticket: usize) -> Request<'_> {
    let workload = &plan.workloads[ticket % 2];
    let payload = &workload.payloads[0];
    Request { workload, payload, step: None, trace: None, collect: !payload.expected.is_empty() }
}

fn grpc(plan: &Plan, turns: impl Iterator<Item = Script>, streaming: bool) {
    let mut connection = http2::Connection::new(plan);
    let (mut under_way, mut next, mut events) = (BTreeMap::new(), 0, Vec::new());
    for mut script in turns {
        let _ = connection.flush(&mut script);
        let ending = script.closed;
        let read = connection.read(&mut script, ending, &mut events);
        for event in events.drain(..) {
            match event {
                Event::Message { ticket, message } => {
                    // Further answers of a request that is over are nobody's.
                    let Some(stream) = under_way.remove(&ticket) else { continue };
                    match answer::streamed(message) {
                        Ok(found) => {
                            let _ = answer::check_response(found.response, expected(plan), &tolerance());
                            connection.release(stream);
                        }
                        Err(_) => connection.cancel(stream),
                    }
                }
                Event::End { ticket, result, .. } => {
                    let known = under_way.remove(&ticket).is_some();
                    assert!(known || streaming, "a request ends twice");
                    look(result.ok(), |message| {
                        let _ = answer::check_grpc(message, expected(plan), &tolerance());
                    });
                }
            }
        }
        if read.is_err() {
            break;
        }
        let tickets: Vec<_> = connection.tickets().collect();
        assert!(
            tickets.len() == under_way.len() && tickets.iter().all(|ticket| under_way.contains_key(ticket))
        );
        while under_way.len() < MOST && next < REQUESTS {
            let request = request(plan, next);
            if !connection.has_room(request.workload.route) {
                connection.make_room(request.workload.route);
                break;
            }
            under_way.insert(next, connection.send(plan, next, &request));
            next += 1;
        }
    }
    connection.finish();
}

fn http(plan: &Plan, turns: impl Iterator<Item = Script>) {
    let mut connection = http1::Connection::new(plan, true);
    let (mut next, mut events) = (0, Vec::new());
    for mut script in turns {
        let _ = connection.flush(&mut script);
        let (before, ending) = (connection.ticket(), script.closed);
        let read = connection.read(&mut script, ending, &mut events);
        for event in events.drain(..) {
            let Event::End { ticket, result, .. } = event else { panic!("a part of an answer") };
            assert_eq!(Some(ticket), before);
            look(result.ok(), |body| {
                let _ = answer::check_http(body, expected(plan), &tolerance());
            });
        }
        if read.is_err() {
            return;
        }
        if connection.has_room() && next < REQUESTS {
            connection.send(plan, next, &request(plan, next));
            next += 1;
        }
    }
}

fn look(answer: Option<Bytes>, check: impl Fn(Bytes)) {
    answer.into_iter().for_each(check);
}

fn expected(plan: &Plan) -> &[ExpectedTensor] {
    &plan.workloads[1].payloads[0].expected
}

fn tolerance() -> Tolerance {
    Tolerance::default()
}
