//! Live requests.

use crate::{
    admin::{admin, request, send, text},
    h2_client::Client,
    h2_upstream::Upstream,
    running::{Running, forward, run},
};
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;
use std::time::Duration;

/// Reads events, one after the other.
struct Events {
    body: Incoming,
    read: Vec<u8>,
}

impl Events {
    async fn of(address: &str, query: &str) -> Self {
        let response: Response<Incoming> = send(address, request("GET", &format!("/tap{query}")), "").await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "application/x-ndjson");
        Self { body: response.into_body(), read: Vec::new() }
    }

    /// `None` at the end.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<_> = self.read.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let frame = self.body.frame().await?.unwrap();
            self.read.extend_from_slice(&frame.into_data().unwrap());
        }
    }
}

#[test]
fn who_looks_sees_requests_begin_and_end() {
    run(async {
        let upstream = Upstream::echo().await;
        let proxy = Running::start(&forward(&[&upstream.address]));
        let address = admin(proxy.proxy());
        let mut events = Events::of(&address, "").await;
        let client = Client::connect(&proxy.address).await;
        client.call("12345").await.ok();
        let (begin, end) = (events.next().await.unwrap(), events.next().await.unwrap());
        assert_eq!((&begin["event"], &end["event"]), (&"begin".into(), &"end".into()));
        assert_eq!(begin["id"], end["id"]);
        assert_eq!(
            (&begin["infermesh.route"], &begin["rpc.method"]),
            (&"to-app".into(), &"ModelInfer".into())
        );
        assert_eq!(
            (&end["event.outcome"], &end["server.address"]),
            (&"success".into(), &upstream.address[..].into())
        );
        assert_eq!(end["http.request.body.bytes"], 5);
    });
}

#[test]
fn a_filter_leaves_out_what_is_not_asked_for() {
    run(async {
        let upstream = Upstream::echo().await;
        let proxy = Running::start(&forward(&[&upstream.address]));
        let address = admin(proxy.proxy());
        let mut failures = Events::of(&address, "?code=failure").await;
        let mut elsewhere = Events::of(&address, "?route=other").await;
        let client = Client::connect(&proxy.address).await;
        client.call("x").await.ok();
        upstream.stop().await;
        assert_eq!(client.call("x").await.code(), 14);
        let only = failures.next().await.unwrap();
        assert_eq!((&only["event"], &only["error.type"]), (&"end".into(), &"UNAVAILABLE".into()));
        assert_eq!(only["infermesh.error.source"], "upstream");
        assert!(tokio::time::timeout(Duration::from_millis(50), elsewhere.next()).await.is_err());
        let answer = send(&address, request("GET", "/tap?code=banana"), "").await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        assert!(text(answer).await.contains("found code 'banana', expected a gRPC code"));
    });
}

#[test]
fn who_looks_is_told_of_the_end() {
    run(async {
        let proxy = Running::start(&forward(&["127.0.0.1:1"]));
        let mut events = Events::of(&admin(proxy.proxy()), "").await;
        let drained = proxy.drain(Duration::from_secs(10));
        assert_eq!(events.next().await, None);
        drop(events);
        assert!(tokio::task::spawn_blocking(move || drained.join().unwrap()).await.unwrap());
    });
}

#[test]
fn who_is_gone_is_not_waited_for_and_costs_nothing_any_more() {
    run(async {
        let upstream = Upstream::echo().await;
        let proxy = Running::start(&forward(&[&upstream.address]));
        let address = admin(proxy.proxy());
        // More than may look at the same time.
        for _ in 0..40 {
            let response = loop {
                let response = send(&address, request("GET", "/tap"), "").await;
                if response.status() == StatusCode::OK {
                    break response;
                }
            };
            drop(response);
        }
        Client::connect(&proxy.address).await.call("x").await.ok();
    });
}
