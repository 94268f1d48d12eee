//! The closed loop: as many requests as were asked for, each counted once.

use crate::{
    plans::{closed, plan, workload},
    runs::{PATIENCE, complete, connect},
    servers::{http, null, serve},
};
use infermesh_loadgen::{
    null_server::Speech,
    proto::{LoadPlan, Protocol},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Barrier},
    time::Duration,
};

#[test]
fn every_request_is_counted_once() {
    for (speech, protocol) in
        [(Speech::Grpc, Protocol::Grpc), (Speech::Grpc, Protocol::GrpcStream), (Speech::Http, Protocol::Http)]
    {
        let server = null(speech);
        let mut run = connect(LoadPlan {
            workloads: vec![workload(1.0, &[b"0123456789"])],
            threads: 3,
            connections: 4,
            request_count: 3_000,
            slowest: 5,
            max_records: 5_000,
            ..plan(server.port(), protocol, closed(16))
        })
        .unwrap();
        run.generator.measure(Duration::ZERO);
        run.generator.start(Duration::ZERO);
        // Slices are cut while the threads count.
        run.until("all are answered", |run| run.completed() >= 3_000);
        run.stop(PATIENCE);
        assert_eq!((run.sent(), run.completed()), (3_000, 3_000), "{protocol:?}");
        let counts = [
            run.latency().count(),
            run.histogram(|workload| &workload.service).count(),
            run.histogram(|workload| &workload.lag).count(),
            run.total(|workload| workload.responses),
            run.records().count() as u64,
            run.total(|workload| workload.sent_bytes) / 10,
        ];
        assert_eq!(counts, [3_000; 6], "{protocol:?}");
        assert!(run.errors().is_empty() && run.lost() == 0);
        assert!(run.histogram(|workload| &workload.lag).max() < PATIENCE.as_nanos() as u64);
        assert_eq!((run.last().threads, run.last().unsent), (3, 0));
        assert!(run.sum(|slice| slice.cpu_ns) > 0);
    }
}

#[test]
fn the_warm_up_is_answered_and_not_recorded() {
    let server = null(Speech::Grpc);
    let mut run =
        connect(LoadPlan { request_count: 500, ..plan(server.port(), Protocol::Grpc, closed(4)) }).unwrap();
    run.generator.start(Duration::ZERO);
    run.until("the warm-up has begun", |run| run.completed() >= 100);
    run.generator.measure(Duration::ZERO);
    assert!(run.generator.wait(PATIENCE));
    run.stop(PATIENCE);
    assert_eq!(run.latency().count(), 500);
    assert!(run.completed() >= 600 && run.completed() == run.sent());
}

#[test]
fn workloads_have_their_share() {
    let server = null(Speech::Grpc);
    let run = complete(LoadPlan {
        workloads: vec![workload(3.0, &[b""]), workload(1.0, &[b"1"])],
        request_count: 4_000,
        ..plan(server.port(), Protocol::Grpc, closed(8))
    });
    let second = run.sum(|slice| slice.workloads[1].sent);
    assert!((850..1_150).contains(&second), "{second} of 4000");
    assert_eq!(run.total(|workload| workload.sent_bytes), second);
}

#[test]
fn http_opens_as_many_connections_as_requests_are_under_way() {
    // Nobody is answered before all are there.
    let all = Arc::new(Barrier::new(40));
    let port = serve(move |_, stream| {
        http(stream, |head, _| {
            if head.starts_with("POST") {
                all.wait();
            }
            Some("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".into())
        });
    });
    let plan = plan(port, Protocol::Http, closed(40));
    let mut run = connect(LoadPlan { threads: 2, request_count: 200, ..plan }).unwrap();
    assert_eq!(run.take().connections, 2);
    run.generator.measure(Duration::ZERO);
    run.generator.start(Duration::ZERO);
    assert!(run.generator.wait(PATIENCE));
    run.stop(PATIENCE);
    assert_eq!((run.latency().count(), run.last().connections, run.lost()), (200, 40, 0));
}

#[test]
fn hundreds_of_connections_take_turns() {
    let server = null(Speech::Http);
    let plan = plan(server.port(), Protocol::Http, closed(300));
    let run = complete(LoadPlan { connections: 300, request_count: 3_000, max_records: 3_000, ..plan });
    let mut counts = BTreeMap::<u32, usize>::new();
    run.records().for_each(|record| *counts.entry(record.connection).or_default() += 1);
    assert_eq!((run.latency().count(), counts.len(), run.last().connections), (3_000, 300, 300));
}

#[test]
fn connections_that_end_with_every_answer_are_made_again() {
    let port = serve(|_, stream| {
        http(stream, |_, _| Some("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".into()));
    });
    let run = complete(LoadPlan { request_count: 100, ..plan(port, Protocol::Http, closed(3)) });
    assert_eq!((run.latency().count(), run.lost()), (100, 0));
}
