//! A limit that is given, and the queue before it.

use crate::{
    h1::Wire,
    h2_client::{Client, PATH, grpc, with},
    h2_upstream::until,
    running::{Running, nanos, run},
    support::{Gated, begin, fence, limited, places, urgent},
};
use infermesh_proxy::proto;
use std::time::{Duration, Instant};

async fn gated(concurrency: proto::Concurrency) -> (Gated, Running, Client) {
    let gated = Gated::start().await;
    let proxy = Running::start(&limited(&gated.upstream, |route| route.concurrency = Some(concurrency)));
    let client = Client::connect(&proxy.address).await;
    (gated, proxy, client)
}

#[test]
fn no_more_than_the_limit_are_under_way_and_the_most_urgent_is_next() {
    run(async {
        let (gated, _proxy, client) = gated(places(1, 16)).await;
        let first = begin(&client, grpc(PATH), "first").await;
        let mut waiting = Vec::new();
        for (body, priority) in [("d", "3"), ("b", "1"), ("a", "0"), ("c", "1"), ("e", "3")] {
            waiting.push(begin(&client, urgent(priority), body).await);
        }
        fence(&client).await;
        until("the first is there", || gated.seen() == ["first"]).await;
        gated.open(6);
        first.answer().await.ok();
        for one in waiting {
            one.answer().await.ok();
        }
        assert_eq!(gated.seen(), ["first", "a", "b", "c", "d", "e"]);
    });
}

#[test]
fn a_full_queue_gives_up_the_least_urgent_at_once() {
    run(async {
        let (gated, _proxy, client) = gated(places(1, 4)).await;
        let first = begin(&client, grpc(PATH), "first").await;
        let _old = begin(&client, urgent("3"), "old").await;
        let new = begin(&client, urgent("3"), "new").await;
        let refused = client.exchange(urgent("3"), "x").await.unwrap();
        assert_eq!((refused.code(), refused.trailers.is_none()), (8, true));
        let expected = "route 'to-app' has 1 requests under way, as many as may be, and 2 that wait, which \
            leaves no place for one of priority 3";
        assert_eq!(refused.message(), expected);
        let middle = [begin(&client, grpc(PATH), "1").await, begin(&client, grpc(PATH), "2").await];
        let high = begin(&client, urgent("0"), "0").await;
        let displaced = new.answer().await;
        assert_eq!(displaced.code(), 8);
        assert!(displaced.message().starts_with("a more urgent request waits in its place"));
        gated.open(10);
        for one in [first, high].into_iter().chain(middle) {
            one.answer().await.ok();
        }
        assert_eq!(gated.seen()[..4], ["first", "0", "1", "2"]);
    });
}

#[test]
fn who_is_refused_over_http_gets_429() {
    run(async {
        let gated = Gated::start().await;
        let concurrency = proto::Concurrency { queue_timeout_ns: 1_000_000, ..places(1, 1) };
        let mut config = limited(&gated.upstream, |route| route.concurrency = Some(concurrency));
        config.clusters[0].protocol = proto::UpstreamProtocol::Http2 as i32;
        let proxy = Running::start(&config);
        let client = Client::connect(&proxy.address).await;
        let _first = begin(&client, grpc(PATH), "first").await;
        fence(&client).await;
        let mut wire = Wire::connect(&proxy.address).await;
        wire.write("GET /orders HTTP/1.1\r\nhost: shop.local\r\n\r\n").await;
        let answer = wire.read().await.unwrap();
        assert_eq!(answer.first, "HTTP/1.1 429 Too Many Requests");
        assert!(answer.text().contains("it was not its turn in time"), "{}", answer.text());
        assert_eq!(answer.header("retry-after"), None);
    });
}

#[test]
fn who_waits_too_long_is_told_whose_patience_is_over() {
    run(async {
        let patience = Duration::from_millis(150);
        let (gated, _proxy, client) =
            gated(proto::Concurrency { queue_timeout_ns: nanos(patience), ..places(1, 16) }).await;
        let _first = begin(&client, grpc(PATH), "first").await;
        let begun = Instant::now();
        let hasty = begin(&client, with(grpc(PATH), "grpc-timeout", "50m"), "hasty").await;
        let patient = begin(&client, with(grpc(PATH), "grpc-timeout", "20S"), "patient").await;
        let hasty = hasty.answer().await;
        assert_eq!(hasty.code(), 4);
        let patient = patient.answer().await;
        assert_eq!(patient.code(), 8);
        assert!(patient.message().starts_with("it was not its turn in time: route 'to-app' has 1 requests"));
        assert!((patience..Duration::from_secs(10)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
        assert_eq!(gated.seen(), ["first"]);
    });
}

#[test]
fn who_is_gone_is_not_waited_for() {
    run(async {
        let (gated, proxy, client) = gated(places(1, 16)).await;
        let first = begin(&client, grpc(PATH), "first").await;
        let reset = begin(&client, urgent("0"), "reset").await;
        let stays = begin(&client, grpc(PATH), "stays").await;
        // So is who waits on a connection that ends.
        let other = Client::connect(&proxy.address).await;
        let cut = begin(&other, urgent("0"), "cut").await;
        fence(&other).await;
        drop((reset, cut, other));
        fence(&client).await;
        gated.open(10);
        first.answer().await.ok();
        stays.answer().await.ok();
        client.call("later").await.ok();
        assert!(!gated.seen().contains(&"reset".to_owned()), "{:?}", gated.seen());
    });
}

/// A place is free when its answer has ended, however it does.
#[test]
fn every_end_gives_its_place_to_the_next() {
    run(async {
        let (gated, proxy, client) = gated(places(1, 16)).await;
        let reset = begin(&client, grpc(PATH), "reset").await;
        until("it is there", || gated.seen().len() == 1).await;
        drop(reset);
        let late = begin(&client, with(grpc(PATH), "grpc-timeout", "200m"), "late").await;
        until("the next is there", || gated.seen().len() == 2).await;
        assert_eq!(late.answer().await.code(), 4);
        let other = Client::connect(&proxy.address).await;
        let cut = begin(&other, grpc(PATH), "cut").await;
        until("the third is there", || gated.seen().len() == 3).await;
        drop((cut, other));
        let last = begin(&client, grpc(PATH), "last").await;
        until("the last is there", || gated.seen().len() == 4).await;
        gated.open(4);
        last.answer().await.ok();
        assert_eq!(gated.seen(), ["reset", "late", "cut", "last"]);
    });
}

#[test]
fn a_priority_that_is_none_is_said_to_be() {
    run(async {
        let (gated, _proxy, client) = gated(places(1, 16)).await;
        gated.open(1);
        let answer = client.exchange(urgent("high"), "x").await.unwrap();
        assert_eq!(answer.code(), 3);
        assert_eq!(answer.message(), "x-infermesh-priority is \"high\": expected 0, 1, 2 or 3");
    });
}
