//! Connections to upstreams: how many, how long, and that their ends cost no request.

use crate::{
    h2_client::{Client, PATH, answer, grpc},
    h2_upstream::{Options, Upstream, until},
    running::{Running, forward, run},
};
use bytes::Bytes;
use futures_util::future::join_all;
use infermesh_proxy::proto;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};
use tokio::sync::Semaphore;

fn pooled(endpoint: &str, pool: proto::Pool) -> proto::ProxyConfig {
    let mut config = forward(&[endpoint]);
    config.clusters[0].pool = Some(pool);
    config
}

#[test]
fn an_upstream_that_asks_its_connections_to_leave_fails_no_request() {
    run(async {
        let upstream = Upstream::echo().await;
        let proxy = Running::start(&forward(&[&upstream.address]));
        let client = Client::connect(&proxy.address).await;
        for round in 0..100 {
            // Some of these cross the GOAWAY, some come after it.
            let calls = join_all((0..8).map(|index| client.call(format!("{round}/{index}"))));
            let leaving = async {
                tokio::task::yield_now().await;
                upstream.leave();
            };
            let (answers, ()) = tokio::join!(calls, leaving);
            for (index, answer) in answers.iter().enumerate() {
                assert_eq!(answer.text(), format!("{round}/{index}"));
            }
        }
        assert!(upstream.accepted() > 10, "{}", upstream.accepted());
    });
}

#[test]
fn what_is_under_way_ends_well_on_a_connection_that_was_asked_to_leave() {
    run(async {
        let gate = Arc::new(Semaphore::new(0));
        let told = gate.clone();
        let upstream = Upstream::start(move |mut exchange| {
            let gate = told.clone();
            async move {
                if exchange.receive().await.unwrap().0 == "slow" {
                    gate.acquire().await.unwrap().forget();
                }
                let said = format!("by {}", exchange.connection);
                exchange.answer(said).await;
            }
        })
        .await;
        let proxy = Running::start(&forward(&[&upstream.address]));
        let client = Client::connect(&proxy.address).await;
        let (mut stream, slow) = client.begin(grpc(PATH)).await;
        stream.send_data(Bytes::from_static(b"slow"), true).unwrap();
        until("the upstream has the request", || upstream.requests() == 1).await;
        upstream.leave();
        let mut by = String::from("by 0");
        while by == "by 0" {
            by = client.call("fast").await.text().to_owned();
        }
        gate.add_permits(1);
        assert_eq!((&by[..], answer(slow).await.unwrap().text()), ("by 1", "by 0"));
        until("the old connection has ended", || upstream.open() == 1).await;
    });
}

/// Counts requests under way, and lets them end together.
async fn crowded(max_streams: u32) -> (Upstream, Arc<Semaphore>, Arc<AtomicUsize>) {
    let (gate, inside) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let (told, count) = (gate.clone(), inside.clone());
    let options = Options { max_streams: Some(max_streams) };
    let upstream = Upstream::with("127.0.0.1:0", options, move |mut exchange| {
        let (gate, inside) = (told.clone(), count.clone());
        async move {
            exchange.receive().await.unwrap();
            inside.fetch_add(1, Relaxed);
            gate.acquire().await.unwrap().forget();
            inside.fetch_sub(1, Relaxed);
            exchange.answer("done").await;
        }
    });
    (upstream.await, gate, inside)
}

#[test]
fn a_full_connection_is_helped_by_another_and_then_requests_wait() {
    run(async {
        let (upstream, gate, inside) = crowded(2).await;
        let pool = proto::Pool { max_connections: 3, max_pending: 10, ..Default::default() };
        let proxy = Running::start(&pooled(&upstream.address, pool));
        let client = Client::connect(&proxy.address).await;
        let calls = join_all((0..10).map(|_| client.call("x")));
        let watching = async {
            until("as many as fit are under way", || inside.load(Relaxed) == 6).await;
            assert_eq!(upstream.accepted(), 3);
            gate.add_permits(10);
        };
        let (answers, ()) = tokio::join!(calls, watching);
        answers.iter().for_each(|answer| assert_eq!(answer.text(), "done"));
        assert_eq!((upstream.accepted(), upstream.requests()), (3, 10));
    });
}

#[test]
fn beyond_those_that_may_wait_requests_are_refused_at_once() {
    run(async {
        let (upstream, gate, inside) = crowded(1).await;
        let pool = proto::Pool { max_connections: 1, max_pending: 1, ..Default::default() };
        let mut config = pooled(&upstream.address, pool);
        config.clusters[0].breaker = Some(Default::default());
        let proxy = Running::start(&config);
        let client = Client::connect(&proxy.address).await;
        let begin = async || {
            let (mut stream, response) = client.begin(grpc(PATH)).await;
            stream.send_data(Bytes::from_static(b"x"), true).unwrap();
            response
        };
        let first = begin().await;
        until("one is under way", || inside.load(Relaxed) == 1).await;
        let second = begin().await;
        // More than a breaker would take for failures.
        for _ in 0..20 {
            let answer = client.call("x").await;
            assert_eq!(answer.code(), 8, "{}", answer.message());
            assert!(answer.message().contains("wait for a connection to"), "{}", answer.message());
        }
        gate.add_permits(10);
        assert_eq!(
            (answer(first).await.unwrap().text(), answer(second).await.unwrap().text()),
            ("done", "done")
        );
        assert_eq!(client.call("x").await.text(), "done");
    });
}
