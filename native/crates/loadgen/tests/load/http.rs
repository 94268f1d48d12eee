//! HTTP/1.1 as servers speak it.

use crate::{
    plans::{closed, plan, workload},
    runs::complete,
    servers::{http, serve},
};
use infermesh_loadgen::proto::{ExpectedTensor, LoadPlan, Protocol};
use std::{
    io::{Read, Write},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

const JSON: &str = r#"{"outputs":[{"name":"y","datatype":"FP32","shape":[1],"data":[1.5]}]}"#;

/// A plan of one request at a time whose answers must be `JSON`.
fn validated(port: u16, count: u64) -> LoadPlan {
    let mut workload = workload(1.0, &[br#"{"inputs":[]}"#]);
    workload.scripts[0].payloads[0].expected = vec![ExpectedTensor {
        name: "y".into(),
        datatype: "FP32".into(),
        shape: vec![1],
        data: 1.5f32.to_le_bytes().to_vec().into(),
    }];
    LoadPlan { workloads: vec![workload], request_count: count, ..plan(port, Protocol::Http, closed(1)) }
}

/// Answers requests with each of these texts in turn.
fn answering(answers: Vec<String>) -> u16 {
    let turn = Arc::new(AtomicUsize::new(0));
    serve(move |_, stream| {
        let mut over = false;
        http(stream, |head, body| {
            if head.starts_with("GET") {
                return Some("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".into());
            }
            assert_eq!(body, br#"{"inputs":[]}"#);
            if over {
                return None;
            }
            let answer = answers[turn.fetch_add(1, Ordering::Relaxed) % answers.len()].clone();
            over = answer.contains("close");
            Some(answer)
        });
    })
}

fn sized(head: &str, body: &str) -> String {
    format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn answers_come_in_every_frame() {
    let (first, second) = JSON.split_at(20);
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let port = answering(vec![
        sized("HTTP/1.1 200 OK", JSON),
        format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}{}0\r\n\r\n",
            chunk(first),
            chunk(second)
        ),
        sized("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close", JSON),
    ]);
    let run = complete(validated(port, 30));
    assert_eq!((run.latency().count(), run.lost()), (30, 0), "{:?}", run.errors());
    assert_eq!(run.total(|workload| workload.received_bytes), 30 * JSON.len() as u64);
}

#[test]
fn an_answer_that_ends_with_its_connection_is_whole() {
    // The end comes with the last bytes, and nothing announces it.
    let port = serve(|_, mut stream| {
        let mut bytes = [0; 4096];
        let count = stream.read(&mut bytes).unwrap_or(0);
        let body = if bytes[..count].starts_with(b"GET") { "" } else { JSON };
        let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\n\r\n{body}").as_bytes());
    });
    let run = complete(validated(port, 100));
    assert_eq!((run.latency().count(), run.lost()), (100, 0), "{:?}", run.errors());
}

#[test]
fn errors_and_wrong_answers_are_told_apart() {
    let port = answering(vec![
        sized("HTTP/1.1 503 Service Unavailable", r#"{"error":"the queue is full"}"#),
        sized("HTTP/1.1 200 OK", &JSON.replace("1.5", "2.5")),
        sized("HTTP/1.1 200 OK", JSON),
        sized("HTTP/1.1 200 OK", "{"),
    ]);
    let run = complete(validated(port, 40));
    let errors = run.errors();
    assert_eq!(run.latency().count(), 10);
    assert_eq!(errors["HTTP 503"], (10, "the queue is full".into()));
    let (count, message) = &errors["WRONG ANSWER"];
    assert_eq!((*count, message.as_str()), (10, r#"output "y", element 0: 2.5, expected 1.5"#));
    assert_eq!(errors["PROTOCOL"].0, 10);
    assert_eq!((run.completed(), run.sent(), run.lost()), (10, 40, 0));
}
