//! gRPC: streams with any number of answers, what is in them, and bodies larger than a window.

use crate::{
    plans::{closed, plan, workload},
    runs::complete,
    servers::{grpc, kind},
};
use infermesh_loadgen::proto::{ExpectedTensor, Header, LoadPlan, Payload, Protocol, Script, Workload};
use infermesh_wire::proto::inference::{
    InferParameter, ModelInferResponse, ModelStreamInferResponse, infer_parameter::ParameterChoice,
    model_infer_response::InferOutputTensor,
};
use prost::Message;
use std::{
    collections::BTreeSet,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::channel,
    },
};

fn response(value: f32) -> ModelInferResponse {
    let output =
        InferOutputTensor { name: "y".into(), datatype: "FP32".into(), shape: vec![1], ..Default::default() };
    ModelInferResponse {
        outputs: vec![output],
        raw_output_contents: vec![value.to_le_bytes().to_vec().into()],
        ..Default::default()
    }
}

fn streamed(mut response: ModelInferResponse, is_final: bool) -> Vec<u8> {
    let parameter = InferParameter { parameter_choice: Some(ParameterChoice::BoolParam(is_final)) };
    response.parameters.insert("triton_final_response".into(), parameter);
    ModelStreamInferResponse { infer_response: Some(response), ..Default::default() }.encode_to_vec()
}

fn error(message: &str) -> Vec<u8> {
    ModelStreamInferResponse { error_message: message.into(), ..Default::default() }.encode_to_vec()
}

/// Answers must be 1.
fn validated(decoupled: bool) -> Workload {
    let mut workload = Workload { decoupled, ..workload(1.0, &[b""]) };
    workload.scripts[0].payloads[0].expected = vec![ExpectedTensor {
        name: "y".into(),
        datatype: "FP32".into(),
        shape: vec![1],
        data: 1f32.to_le_bytes().to_vec().into(),
    }];
    workload
}

#[test]
fn answers_are_looked_into() {
    let port = grpc(&[], |_, peer| {
        for number in 0.. {
            let stream = peer.message()?.stream;
            let value = if number % 5 == 0 { 3.0 } else { 1.0 };
            peer.answer(stream, &response(value).encode_to_vec())?;
        }
        Ok(())
    });
    let run = complete(LoadPlan {
        workloads: vec![validated(false)],
        request_count: 50,
        ..plan(port, Protocol::Grpc, closed(2))
    });
    assert_eq!(run.latency().count(), 40);
    let wrong = (10, r#"output "y", element 0: 3, expected 1"#.to_owned());
    assert_eq!(run.errors().into_iter().collect::<Vec<_>>(), [("WRONG ANSWER".to_owned(), wrong)]);
}

#[test]
fn a_decoupled_model_answers_as_often_as_it_likes() {
    let port = grpc(&[], |_, peer| {
        let mut last = 0;
        for number in 0.. {
            let stream = peer.message()?.stream;
            assert!(number == 0 || stream == last, "requests of one client follow each other on one stream");
            last = stream;
            for _ in 0..3 {
                peer.say(stream, &streamed(response(1.0), false))?;
            }
            // Every second one's end is an answer of its own without outputs.
            let empty = ModelInferResponse::default();
            peer.say(stream, &streamed(if number % 2 == 0 { empty } else { response(1.0) }, true))?;
        }
        Ok(())
    });
    let run = complete(LoadPlan {
        workloads: vec![validated(true)],
        request_count: 20,
        max_records: 100,
        ..plan(port, Protocol::GrpcStream, closed(1))
    });
    assert!(run.errors().is_empty(), "{:?}", run.errors());
    assert_eq!((run.latency().count(), run.total(|workload| workload.responses)), (20, 70));
    assert_eq!(run.histogram(|workload| &workload.first_response).count(), 20);
    let mut counts: Vec<_> = run.records().map(|record| record.response_ns.len()).collect();
    counts.sort_unstable();
    assert_eq!((counts[9], counts[10]), (3, 4));
    for record in run.records() {
        assert!(record.response_ns.is_sorted());
        assert!(record.response_ns[0] <= record.lag_ns + record.service_ns);
    }
}

#[test]
fn an_error_in_a_stream_is_one_request_s() {
    let port = grpc(&[], |_, peer| {
        for number in 0.. {
            let stream = peer.message()?.stream;
            match number % 4 {
                0 => peer.say(stream, &error("no such model"))?,
                // What a model says after it failed must not pass for the next request's answer.
                1 => {
                    peer.say(stream, &streamed(response(7.0), false))?;
                    peer.say(stream, &streamed(response(1.0), true))?;
                }
                2 => peer.end(stream, 14, "restarting")?,
                _ => peer.say(stream, &streamed(response(1.0), true))?,
            }
        }
        Ok(())
    });
    let run = complete(LoadPlan {
        workloads: vec![validated(true)],
        request_count: 40,
        ..plan(port, Protocol::GrpcStream, closed(1))
    });
    let errors = run.errors();
    assert_eq!(errors["UNKNOWN"], (10, "no such model".into()));
    assert_eq!(errors["WRONG ANSWER"].0, 10);
    assert_eq!(errors["UNAVAILABLE"], (10, "restarting".into()));
    assert_eq!((run.latency().count(), run.lost()), (10, 0));
}

#[test]
fn workloads_share_the_streams_that_a_server_allows() {
    // One stream at a time.
    let (tell, told) = channel();
    let port = grpc(&[(3, 1)], move |_, peer| {
        loop {
            let stream = peer.message()?.stream;
            tell.send(stream).unwrap();
            peer.say(stream, &streamed(response(1.0), true))?;
        }
    });
    let streams = |headers: Vec<Header>| {
        let second = Workload { headers, ..workload(1.0, &[b""]) };
        let run = complete(LoadPlan {
            workloads: vec![workload(1.0, &[b""]), second],
            request_count: 100,
            ..plan(port, Protocol::GrpcStream, closed(2))
        });
        assert_eq!((run.latency().count(), run.lost()), (100, 0), "{:?}", run.errors());
        told.try_iter().collect::<BTreeSet<u32>>().len()
    };
    assert_eq!(streams(Vec::new()), 1);
    // Those that differ in their headers cannot share: each ends the other's.
    let tenant = Header { name: "x-tenant".into(), value: "2".into() };
    assert!((20..80).contains(&streams(vec![tenant])));
}

#[test]
fn bodies_are_larger_than_windows() {
    let body: Vec<u8> = (0..4u32 << 20).map(|at| (at % 251) as u8).collect();
    let (wanted, good) = (body.clone(), Arc::new(AtomicU64::new(0)));
    let counted = good.clone();
    // No settings: 64 KiB for each stream and for all of them together.
    let port = grpc(&[], move |_, peer| {
        loop {
            let message = peer.message()?;
            counted.fetch_add(u64::from(message.body == wanted), Ordering::Relaxed);
            peer.answer(message.stream, b"")?;
        }
    });
    let payload = Payload { body: body.into(), ..Default::default() };
    let run = complete(LoadPlan {
        workloads: vec![Workload { scripts: vec![Script { payloads: vec![payload] }], ..workload(1.0, &[]) }],
        request_count: 4,
        ..plan(port, Protocol::Grpc, closed(2))
    });
    assert_eq!((run.latency().count(), good.load(Ordering::Relaxed)), (4, 4), "{:?}", run.errors());
}

#[test]
fn more_requests_than_a_connection_holds_unsent_are_under_way_at_once() {
    // 1.6 MB of requests, none of which is answered before all are there.
    let port = grpc(&[(4, 1 << 30)], |_, peer| {
        peer.send(kind::WINDOW_UPDATE, 0, 0, &(1u32 << 30).to_be_bytes())?;
        loop {
            let streams = (0..200).map(|_| Ok(peer.message()?.stream)).collect::<io::Result<Vec<_>>>()?;
            streams.into_iter().try_for_each(|stream| peer.answer(stream, b""))?;
        }
    });
    let run = complete(LoadPlan {
        workloads: vec![workload(1.0, &[&[7; 8_000]])],
        request_count: 600,
        ..plan(port, Protocol::Grpc, closed(200))
    });
    assert_eq!((run.latency().count(), run.lost()), (600, 0), "{:?}", run.errors());
}
