//! A second endpoint beside one that is slow.

use crate::{
    h2_client::{Client, PATH, answer, grpc},
    h2_upstream::{Exchange, Seen, Upstream, until},
    running::{Running, cluster, config, nanos, route, run},
};
use bytes::Bytes;
use h2::Reason;
use infermesh_proxy::proto;
use std::time::{Duration, Instant};

const MILLISECOND: Duration = Duration::from_millis(1);

/// Hedged after 50 ms, whenever it may be.
fn hedging(endpoints: &[&str]) -> proto::ProxyConfig {
    let hedge = proto::Hedge { delay_ns: nanos(50 * MILLISECOND), budget_ratio: 1.0, ..Default::default() };
    let route = proto::Route { hedge: Some(hedge), ..route("app") };
    config(route, vec![cluster("app", endpoints)])
}

/// Answers nothing, and tells what ends the wait.
async fn slow() -> (Upstream, Seen<Option<Reason>>) {
    let ends = Seen::default();
    let noted = ends.clone();
    let upstream = Upstream::start(move |mut exchange: Exchange| {
        let ends = noted.clone();
        async move {
            exchange.receive().await.unwrap();
            ends.push(exchange.given_up().await);
        }
    });
    (upstream.await, ends)
}

/// Fails with a code after so long.
async fn failing_after(delay: Duration, code: u16) -> Upstream {
    Upstream::start(move |mut exchange: Exchange| async move {
        exchange.receive().await.unwrap();
        tokio::time::sleep(delay).await;
        exchange.fail(code);
    })
    .await
}

/// Calls until `upstream` has been asked; the last answer, and how long it took.
async fn until_asked(client: &Client, upstream: &Upstream) -> (crate::h2_client::Answer, Duration) {
    let before = upstream.requests();
    loop {
        let begun = Instant::now();
        let answer = client.call("x").await;
        if upstream.requests() > before {
            return (answer, begun.elapsed());
        }
    }
}

#[test]
fn the_faster_one_answers_and_the_slower_one_is_given_up() {
    run(async {
        let ((slow, ends), good) = (slow().await, Upstream::named("good").await);
        let proxy = Running::start(&hedging(&[&slow.address, &good.address]));
        let client = Client::connect(&proxy.address).await;
        let (answer, took) = until_asked(&client, &slow).await;
        assert_eq!(answer.text(), "good");
        assert!(took >= 50 * MILLISECOND && took < 1_000 * MILLISECOND, "{took:?}");
        until("the slow one is told", || !ends.all().is_empty()).await;
        assert_eq!(ends.all(), [Some(Reason::CANCEL)]);
    });
}

#[test]
fn no_second_one_is_asked_where_the_first_is_fast() {
    run(async {
        let (one, other) = (Upstream::echo().await, Upstream::echo().await);
        let proxy = Running::start(&hedging(&[&one.address, &other.address]));
        let client = Client::connect(&proxy.address).await;
        for _ in 0..100 {
            client.call("x").await.ok();
        }
        assert_eq!(one.requests() + other.requests(), 100);
    });
}

#[test]
fn no_second_one_is_asked_where_there_is_none() {
    run(async {
        let upstream = failing_after(150 * MILLISECOND, 5).await;
        let proxy = Running::start(&hedging(&[&upstream.address]));
        let client = Client::connect(&proxy.address).await;
        assert_eq!(client.call("x").await.code(), 5);
        assert_eq!(upstream.requests(), 1);
    });
}

/// What is not there cannot be sent twice; what has a state must not be.
#[test]
fn what_may_not_be_sent_twice_is_not() {
    run(async {
        let one = failing_after(150 * MILLISECOND, 5).await;
        let other = failing_after(150 * MILLISECOND, 5).await;
        let proxy = Running::start(&hedging(&[&one.address, &other.address]));
        let client = Client::connect(&proxy.address).await;
        assert_eq!(client.call("sequence_id").await.code(), 5);
        assert_eq!(one.requests() + other.requests(), 1);
        let (mut stream, response) = client.begin(grpc(PATH)).await;
        stream.send_data(Bytes::from_static(b"begins"), false).unwrap();
        until("one is asked", || one.requests() + other.requests() == 2).await;
        tokio::time::sleep(100 * MILLISECOND).await;
        assert_eq!(one.requests() + other.requests(), 2);
        stream.send_data(Bytes::new(), true).unwrap();
        assert_eq!(answer(response).await.unwrap().code(), 5);
    });
}

/// Of two that are under way one that fails has not lost.
#[test]
fn a_failure_waits_for_the_other_one() {
    run(async {
        // Later than a second one is asked, and as that before the good one answers.
        let bad = failing_after(80 * MILLISECOND, 14).await;
        let good = Upstream::start(|mut exchange: Exchange| async move {
            exchange.receive().await.unwrap();
            tokio::time::sleep(400 * MILLISECOND).await;
            exchange.answer("good").await;
        })
        .await;
        let mut given = hedging(&[&bad.address, &good.address]);
        given.clusters[0].breaker = Some(proto::Breaker { consecutive_failures: 1, ..Default::default() });
        let proxy = Running::start(&given);
        let client = Client::connect(&proxy.address).await;
        let (answer, _) = until_asked(&client, &bad).await;
        assert_eq!(answer.text(), "good");
        // It is held against the one that failed.
        let before = bad.requests();
        assert_eq!(client.call("x").await.text(), "good");
        assert_eq!(bad.requests(), before);
    });
}

/// And where both fail it is tried once more, as any failure.
#[test]
fn where_both_fail_it_is_a_failure() {
    run(async {
        let one = failing_after(100 * MILLISECOND, 14).await;
        let other = failing_after(100 * MILLISECOND, 14).await;
        let mut given = hedging(&[&one.address, &other.address]);
        given.listeners[0].routes[0].retry = Some(proto::Retry { max_attempts: 3, ..Default::default() });
        let proxy = Running::start(&given);
        let client = Client::connect(&proxy.address).await;
        assert_eq!(client.call("x").await.code(), 14);
        assert_eq!((one.requests() + other.requests(), one.requests().abs_diff(other.requests())), (3, 1));
    });
}

/// A caller's own fault is no other one's to mend.
#[test]
fn what_another_would_not_change_is_said_at_once() {
    run(async {
        let ((slow, _ends), bad) = (slow().await, failing_after(Duration::ZERO, 3).await);
        let proxy = Running::start(&hedging(&[&slow.address, &bad.address]));
        let client = Client::connect(&proxy.address).await;
        let (answer, took) = until_asked(&client, &slow).await;
        assert_eq!(answer.code(), 3);
        assert!(took < 1_000 * MILLISECOND, "{took:?}");
    });
}

#[test]
fn second_ones_stay_within_their_budget() {
    run(async {
        let one = failing_after(60 * MILLISECOND, 5).await;
        let other = failing_after(60 * MILLISECOND, 5).await;
        let mut given = hedging(&[&one.address, &other.address]);
        let hedge = given.listeners[0].routes[0].hedge.as_mut().unwrap();
        (hedge.delay_ns, hedge.budget_ratio) = (nanos(5 * MILLISECOND), 0.1);
        let proxy = Running::start(&given);
        let client = Client::connect(&proxy.address).await;
        for _ in 0..5 {
            futures_util::future::join_all((0..20).map(|_| client.call("x"))).await;
        }
        let beyond = one.requests() + other.requests() - 100;
        assert!((8..=11).contains(&beyond), "{beyond}");
    });
}
