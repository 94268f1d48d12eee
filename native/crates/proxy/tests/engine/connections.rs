//! Connections to upstreams: how many, how long, and that their ends cost no request.

use crate::{
    h1::App,
    h2_client::{Client, PATH, answer, grpc, with},
    h2_frames::{ACK, HEADERS, PAYLOAD, PING, RST_STREAM, expect, greet, leave, read, reply, write},
    h2_upstream::{Options, Upstream, until},
    running::{Running, cluster, forward, nanos, run},
};
use bytes::Bytes;
use futures_util::future::join_all;
use infermesh_proxy::proto;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

const MILLISECOND: Duration = Duration::from_millis(1);

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
        let (mut stream, first) = client.begin(grpc(PATH)).await;
        stream.send_data(Bytes::from_static(b"x"), true).unwrap();
        until("one is under way", || inside.load(Relaxed) == 1).await;
        let (mut stream, second) = client.begin(grpc(PATH)).await;
        stream.send_data(Bytes::from_static(b"x"), true).unwrap();
        // More than a breaker would take for failures.
        for _ in 0..20 {
            let answer = client.call("x").await;
            assert_eq!(answer.code(), 8, "{}", answer.message());
            assert!(answer.message().contains("wait for a connection to"), "{}", answer.message());
        }
        gate.add_permits(10);
        assert_eq!(answer(first).await.unwrap().text(), "done");
        assert_eq!(answer(second).await.unwrap().text(), "done");
        assert_eq!(client.call("x").await.text(), "done");
    });
}

/// Old connections are replaced one by one, and what is under way on them is not disturbed.
#[test]
fn a_connection_that_is_old_is_replaced() {
    run(async {
        let gate = Arc::new(Semaphore::new(0));
        let told = gate.clone();
        let upstream = Upstream::start(move |mut exchange| {
            let gate = told.clone();
            async move {
                if exchange.receive().await.unwrap().0 == "slow" {
                    gate.acquire().await.unwrap().forget();
                }
                exchange.answer("done").await;
            }
        })
        .await;
        let pool = proto::Pool { max_age_ns: nanos(MILLISECOND * 50), ..Default::default() };
        let proxy = Running::start(&pooled(&upstream.address, pool));
        let client = Client::connect(&proxy.address).await;
        let (mut stream, slow) = client.begin(grpc(PATH)).await;
        stream.send_data(Bytes::from_static(b"slow"), true).unwrap();
        while upstream.accepted() < 5 {
            assert_eq!(client.call("x").await.text(), "done");
        }
        gate.add_permits(1);
        assert_eq!(answer(slow).await.unwrap().text(), "done");
        until("the old ones have ended", || upstream.open() <= 1).await;
    });
}

#[test]
fn a_connection_that_has_nothing_to_do_ends() {
    run(async {
        let upstream = Upstream::echo().await;
        let pool = proto::Pool { idle_timeout_ns: nanos(MILLISECOND * 50), ..Default::default() };
        let proxy = Running::start(&pooled(&upstream.address, pool));
        let client = Client::connect(&proxy.address).await;
        for round in 1..4 {
            assert_eq!(client.call("x").await.text(), "x");
            assert_eq!(upstream.accepted(), round);
            until("it has ended", || upstream.open() == 0).await;
        }
    });
}

/// Everything within a tenth of a second.
fn quick() -> proto::Pool {
    let quick = nanos(MILLISECOND * 100);
    proto::Pool {
        connect_timeout_ns: quick,
        keepalive_ns: quick,
        keepalive_timeout_ns: quick,
        ..Default::default()
    }
}

/// It takes connections, because its kernel does, and says nothing at all.
#[test]
fn an_upstream_that_does_not_greet_is_one_that_cannot_be_connected_to() {
    run(async {
        let frozen = App::start(|mut wire, _| async move { while wire.try_read(1).await.is_some() {} }).await;
        let good = Upstream::named("good").await;
        let mut config = pooled(&frozen.address, quick());
        let proxy = Running::start(&config);
        let client = Client::connect(&proxy.address).await;
        let answer = client.call("x").await;
        assert_eq!(answer.code(), 14);
        assert!(answer.message().contains("HTTP/2 was not agreed on within 100ms"), "{}", answer.message());

        // Nothing was sent, and so it may be sent to another one, whatever it is.
        let both = cluster("app", &[&frozen.address, &good.address]);
        config.clusters[0] = proto::Cluster { pool: Some(quick()), ..both };
        config.listeners[0].routes[0].retry = Some(Default::default());
        let proxy = Running::start(&config);
        let client = Client::connect(&proxy.address).await;
        for _ in 0..10 {
            assert_eq!(client.call("sequence_id").await.text(), "good");
        }
    });
}

#[test]
fn an_upstream_that_freezes_is_given_up() {
    run(async {
        // It answers once, and then neither requests nor pings.
        let frozen = App::start(|mut wire, _| async move {
            greet(&mut wire).await;
            let request = expect(&mut wire, &[HEADERS]).await.unwrap();
            reply(&mut wire, request.stream, b"once").await;
            while read(&mut wire).await.is_some() {}
        })
        .await;
        let proxy = Running::start(&pooled(&frozen.address, quick()));
        let client = Client::connect(&proxy.address).await;
        assert_eq!(client.call("x").await.text(), "once");
        let begun = Instant::now();
        let answer = client.call("x").await;
        let took = begun.elapsed();
        assert_eq!(answer.code(), 14);
        assert!(took > MILLISECOND * 150 && took < MILLISECOND * 1500, "{took:?}");
        // The next one is not sent there.
        assert_eq!(client.call("x").await.text(), "once");
        assert_eq!(frozen.accepted(), 2);
    });
}

#[test]
fn an_upstream_that_is_slow_but_lives_is_waited_for() {
    run(async {
        let slow = App::start(|mut wire, _| async move {
            greet(&mut wire).await;
            let request = expect(&mut wire, &[HEADERS]).await.unwrap();
            for _ in 0..3 {
                expect(&mut wire, &[PING]).await.unwrap();
                write(&mut wire, PING, ACK, 0, PAYLOAD).await;
            }
            reply(&mut wire, request.stream, b"at last").await;
            while read(&mut wire).await.is_some() {}
        })
        .await;
        let proxy = Running::start(&pooled(&slow.address, quick()));
        let client = Client::connect(&proxy.address).await;
        assert_eq!(client.call("x").await.text(), "at last");
    });
}

/// Without the usual two steps: the request that crosses it was not looked at.
#[test]
fn a_request_that_crosses_a_farewell_is_sent_again() {
    run(async {
        let upstream = App::start(|mut wire, number| async move {
            greet(&mut wire).await;
            let request = expect(&mut wire, &[HEADERS]).await.unwrap();
            if number < 3 {
                leave(&mut wire, 0).await;
            } else {
                reply(&mut wire, request.stream, b"at last").await;
            }
            while read(&mut wire).await.is_some() {}
        })
        .await;
        // A body is kept only where there are retries; this takes none of them.
        let mut config = pooled(&upstream.address, quick());
        config.listeners[0].routes[0].retry = Some(proto::Retry { max_attempts: 1, ..Default::default() });
        let proxy = Running::start(&config);
        let client = Client::connect(&proxy.address).await;
        assert_eq!(client.call("x").await.text(), "at last");
        assert_eq!(upstream.accepted(), 4);
    });
}

/// An answer may cross the reset of whoever does not wait for it any more; that is nobody's error.
#[test]
fn any_number_of_requests_may_be_given_up_on_one_connection() {
    run(async {
        let late = Arc::new(AtomicUsize::new(0));
        let count = late.clone();
        let upstream = App::start(move |mut wire, _| {
            let late = count.clone();
            async move {
                greet(&mut wire).await;
                while let Some(frame) = expect(&mut wire, &[HEADERS, RST_STREAM]).await {
                    if frame.kind == RST_STREAM {
                        late.fetch_add(1, Relaxed);
                    }
                    if frame.kind == RST_STREAM || late.load(Relaxed) >= 1_200 {
                        reply(&mut wire, frame.stream, b"an answer").await;
                    }
                }
            }
        })
        .await;
        let proxy = Running::start(&forward(&[&upstream.address]));
        let client = Client::connect(&proxy.address).await;
        while late.load(Relaxed) < 1_200 {
            let calls = (0..50).map(|_| client.exchange(with(grpc(PATH), "grpc-timeout", "2m"), "x"));
            join_all(calls).await;
        }
        assert_eq!(client.call("x").await.text(), "an answer");
        assert_eq!(upstream.accepted(), 1);
    });
}
