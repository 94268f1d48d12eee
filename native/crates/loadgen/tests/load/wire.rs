//! What is on the wire: sequences with their beginnings and ends, and traces.

use crate::{
    plans::{closed, constant, plan, workload},
    runs::{PATIENCE, Run, complete, connect},
    servers::{grpc, http, serve},
};
use infermesh_loadgen::proto::{LoadPlan, Protocol, Sequences, Workload};
use infermesh_wire::proto::inference::{ModelInferRequest, infer_parameter::ParameterChoice};
use prost::Message;
use std::{
    collections::BTreeMap,
    sync::mpsc::{Receiver, Sender, channel},
    time::Duration,
};

/// A request of a sequence as a server sees it: its id, whether it is the first, whether it is the last.
type Step = (i64, bool, bool);

fn step(body: &[u8]) -> Step {
    let request = ModelInferRequest::decode(body).unwrap();
    let choice = |name: &str| request.parameters[name].parameter_choice.clone().unwrap();
    let flag = |name: &str| matches!(choice(name), ParameterChoice::BoolParam(true));
    let ParameterChoice::Int64Param(id) = choice("sequence_id") else { panic!("{request:?}") };
    (id, flag("sequence_start"), flag("sequence_end"))
}

/// Tells every step; refuses the one with this number.
fn sequential(tell: Sender<Step>, refused: usize) -> u16 {
    grpc(&[], move |_, peer| {
        for number in 0.. {
            let message = peer.message()?;
            tell.send(step(&message.body)).unwrap();
            if number == refused {
                peer.end(message.stream, 9, "no")?;
            } else {
                peer.answer(message.stream, b"")?;
            }
        }
        Ok(())
    })
}

fn sequences(port: u16, length: u32) -> LoadPlan {
    let sequences = Sequences { first_id: 100, length, concurrent: 3, ..Default::default() };
    let workload = Workload { sequences: Some(sequences), ..workload(1.0, &[b""]) };
    LoadPlan { workloads: vec![workload], ..plan(port, Protocol::Grpc, closed(3)) }
}

fn by_id(told: &Receiver<Step>) -> BTreeMap<i64, Vec<(bool, bool)>> {
    let mut found = BTreeMap::<_, Vec<_>>::new();
    for (id, start, end) in told.try_iter() {
        found.entry(id).or_default().push((start, end));
    }
    found
}

#[test]
fn sequences_begin_and_end_and_none_is_left_open() {
    let (tell, told) = channel();
    let mut run =
        connect(LoadPlan { request_count: 25, ..sequences(sequential(tell, usize::MAX), 10) }).unwrap();
    run.generator.measure(Duration::ZERO);
    run.generator.start(Duration::ZERO);
    assert!(run.generator.wait(PATIENCE));
    run.stop(PATIENCE);
    // What ends a sequence early is counted nowhere.
    assert_eq!((run.sent(), run.completed(), run.latency().count()), (25, 25, 25), "{:?}", run.errors());
    let steps = by_id(&told);
    assert_eq!(steps.keys().copied().collect::<Vec<_>>(), [100, 101, 102]);
    let lengths: Vec<_> = steps.values().map(Vec::len).collect();
    assert!(lengths.iter().sum::<usize>() == 28 && lengths.iter().all(|length| *length <= 10), "{lengths:?}");
    for steps in steps.values() {
        let marks = |position: usize| (position == 0, position + 1 == steps.len());
        assert!(steps.iter().enumerate().all(|(position, step)| *step == marks(position)), "{steps:?}");
    }
}

#[test]
fn a_sequence_with_a_failed_request_is_left() {
    let (tell, told) = channel();
    let run = complete(LoadPlan { request_count: 40, ..sequences(sequential(tell, 4), 5) });
    assert_eq!((run.error("FAILED_PRECONDITION"), run.latency().count()), (1, 39));
    let unended: Vec<_> = by_id(&told).into_values().filter(|steps| !steps.last().unwrap().1).collect();
    assert!(unended.len() == 1 && unended[0].len() < 5, "{unended:?}");
}

#[test]
fn an_open_loop_ends_its_sequences_too() {
    let (tell, told) = channel();
    let arrivals = Some(constant(2_000.0));
    let mut run =
        connect(LoadPlan { arrivals, threads: 2, ..sequences(sequential(tell, usize::MAX), 1_000) }).unwrap();
    run.generator.start(Duration::ZERO);
    run.until("sequences are under way", |run: &Run| run.completed() >= 50);
    run.stop(PATIENCE);
    let steps = by_id(&told);
    // Others begin only while those that have begun wait for their answers.
    assert!((2..=3).contains(&steps.len()));
    assert!(steps.values().all(|steps| steps[0] == (true, false) && steps.last() == Some(&(false, true))));
    assert_eq!(steps.values().map(Vec::len).sum::<usize>() as u64, run.sent() + steps.len() as u64);
}

#[test]
fn a_server_that_is_gone_has_no_sequences_to_end() {
    let port = grpc(&[], |_, peer| {
        for _ in 0..10 {
            let stream = peer.message()?.stream;
            peer.answer(stream, b"")?;
        }
        Ok(())
    });
    let mut run = connect(LoadPlan { request_count: 5, ..sequences(port, 100) }).unwrap();
    run.generator.measure(Duration::ZERO);
    run.generator.start(Duration::ZERO);
    assert!(run.generator.wait(PATIENCE));
    // 3 of them are open; the server answers 5 more before it closes.
    run.stop(PATIENCE);
    assert_eq!(run.latency().count(), 5);
}

#[test]
fn the_wanted_share_of_requests_is_traced() {
    let (tell, told) = channel::<String>();
    let port = serve(move |_, stream| {
        http(stream, |head, _| {
            if let Some(line) = head.lines().find(|line| line.starts_with("traceparent: ")) {
                tell.send(line["traceparent: ".len()..].to_owned()).unwrap();
            }
            Some("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".into())
        });
    });
    let run = complete(LoadPlan {
        workloads: vec![workload(1.0, &[b"{}"])],
        request_count: 400,
        max_records: 400,
        trace_share: 0.25,
        ..plan(port, Protocol::Http, closed(2))
    });
    let mut recorded: Vec<String> = run
        .records()
        .filter(|record| !record.trace_id.is_empty())
        .map(|record| record.trace_id.iter().map(|byte| format!("{byte:02x}")).collect())
        .collect();
    let mut sent: Vec<_> = told.try_iter().map(|text| text.split('-').nth(1).unwrap().to_owned()).collect();
    recorded.sort_unstable();
    sent.sort_unstable();
    assert!((60..140).contains(&sent.len()), "{} of 400", sent.len());
    assert_eq!(recorded, sent);
}

#[test]
fn traces_over_grpc_are_headers_of_their_own() {
    let (tell, told) = channel::<bool>();
    let port = grpc(&[], move |_, peer| {
        loop {
            let message = peer.message()?;
            let traced = message.headers.windows(11).any(|bytes| bytes == b"traceparent");
            tell.send(traced).unwrap();
            peer.answer(message.stream, b"")?;
        }
    });
    let run =
        complete(LoadPlan { request_count: 20, trace_share: 1.0, ..plan(port, Protocol::Grpc, closed(1)) });
    assert_eq!((run.latency().count(), told.try_iter().filter(|traced| *traced).count()), (20, 20));
}
