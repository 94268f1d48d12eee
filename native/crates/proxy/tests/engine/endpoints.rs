//! Which endpoints there are, which come and go, and which are left alone.

use crate::{
    h2_client::{Client, PATH, answer, grpc},
    h2_upstream::{Upstream, until},
    running::{Running, cluster, config, forward, nanos, route, run},
};
use bytes::Bytes;
use infermesh_proxy::proto;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

fn named(host: &str, port: &str) -> proto::Cluster {
    let dns = proto::Dns {
        host: host.into(),
        port: port.parse().unwrap(),
        interval_ns: nanos(Duration::from_millis(50)),
    };
    proto::Cluster { discovery: Some(proto::cluster::Discovery::Dns(dns)), ..cluster("app", &[]) }
}

#[test]
fn a_name_is_looked_up() {
    run(async {
        let upstream = Upstream::named("here").await;
        let port = upstream.address.rsplit_once(':').unwrap().1;
        // It may stand for addresses that nobody listens at, too.
        let route = proto::Route { retry: Some(Default::default()), ..route("app") };
        let proxy = Running::start(&config(route, vec![named("localhost", port)]));
        let client = Client::connect(&proxy.address).await;
        let mut answer = client.call("x").await;
        let begun = Instant::now();
        while answer.message() == "service 'app' has no endpoint" && begun.elapsed() < Duration::from_secs(10)
        {
            answer = client.call("x").await;
        }
        assert_eq!(answer.text(), "here");
    });
}

#[test]
fn a_name_that_cannot_be_looked_up_is_why_there_is_no_endpoint() {
    run(async {
        // Longer than any name may be: no resolver is asked.
        let name = "x".repeat(300);
        let proxy = Running::start(&config(route("app"), vec![named(&name, "80")]));
        let client = Client::connect(&proxy.address).await;
        let mut answer = client.call("x").await;
        while answer.message() == "service 'app' has no endpoint" {
            answer = client.call("x").await;
        }
        assert_eq!(answer.code(), 14);
        let said = answer.message();
        assert!(
            said.starts_with(&format!("service 'app' has no endpoint: {name} cannot be looked up:")),
            "{said}"
        );
    });
}

#[test]
fn endpoints_that_go_finish_what_they_have_and_lose_their_connections() {
    run(async {
        let gate = Arc::new(Semaphore::new(0));
        let told = gate.clone();
        let old = Upstream::start(move |mut exchange| {
            let gate = told.clone();
            async move {
                exchange.receive().await.unwrap();
                gate.acquire().await.unwrap().forget();
                exchange.answer("old").await;
            }
        })
        .await;
        let new = Upstream::named("new").await;
        let mut given = forward(&[&old.address]);
        given.clusters[0].pool =
            Some(proto::Pool { keepalive_ns: nanos(Duration::from_millis(100)), ..Default::default() });
        let proxy = Running::start(&given);
        let client = Client::connect(&proxy.address).await;
        let (mut stream, slow) = client.begin(grpc(PATH)).await;
        stream.send_data(Bytes::from_static(b"x"), true).unwrap();
        until("the old one has the request", || old.requests() == 1).await;

        proxy.proxy().set_endpoints("app", &[new.address.clone(), new.address.clone()]).unwrap();
        assert_eq!(client.call("x").await.text(), "new");
        assert_eq!(old.open(), 1);
        gate.add_permits(1);
        assert_eq!(answer(slow).await.unwrap().text(), "old");
        until("the old connection has ended", || old.open() == 0).await;
        assert_eq!(client.call("x").await.text(), "new");
        assert_eq!(new.accepted(), 1);

        proxy.proxy().set_endpoints("app", &[]).unwrap();
        assert_eq!(client.call("x").await.message(), "service 'app' has no endpoint");
    });
}

#[test]
fn what_is_wrong_with_new_endpoints_is_said_and_the_old_ones_stay() {
    run(async {
        let upstream = Upstream::named("here").await;
        let proxy = Running::start(&forward(&[&upstream.address]));
        let set = |cluster, endpoint: &str| proxy.proxy().set_endpoints(cluster, &[endpoint.to_owned()]);
        assert_eq!(set("other", "a:1").unwrap_err(), "there is no cluster called 'other'; there are: app");
        assert!(set("app", "a").unwrap_err().contains("'a' is no address: it has no port"));
        assert_eq!(Client::connect(&proxy.address).await.call("x").await.text(), "here");
    });
}

#[test]
fn one_that_fails_in_a_row_is_left_alone_for_a_while() {
    run(async {
        let (one, other) = (Upstream::failing(13).await, Upstream::failing(13).await);
        let mut given = forward(&[&one.address, &other.address]);
        given.clusters[0].outlier = Some(proto::Outlier {
            consecutive_failures: 3,
            base_ejection_ns: nanos(Duration::from_millis(400)),
            ..Default::default()
        });
        let proxy = Running::start(&given);
        let client = Client::connect(&proxy.address).await;
        // They do equally badly, but of two only one may be ejected.
        while one.requests() < 3 && other.requests() < 3 {
            client.call("x").await;
        }
        let ejected = if one.requests() == 3 { &one } else { &other };
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(300) {
            client.call("x").await;
            assert_eq!(ejected.requests(), 3);
        }
        // It is as good as new afterwards, and so it is asked at once.
        while ejected.requests() == 3 {
            client.call("x").await;
        }
        assert!(begun.elapsed() < Duration::from_millis(600), "{:?}", begun.elapsed());
    });
}

#[test]
fn where_all_do_badly_one_is_asked_nevertheless() {
    run(async {
        let (one, other) = (Upstream::failing(13).await, Upstream::failing(13).await);
        let mut given = forward(&[&one.address, &other.address]);
        given.clusters[0].outlier = Some(proto::Outlier { max_ejected: 1.0, ..Default::default() });
        let proxy = Running::start(&given);
        let client = Client::connect(&proxy.address).await;
        for _ in 0..100 {
            assert_eq!(client.call("x").await.code(), 13);
        }
        assert_eq!(one.requests() + other.requests(), 100);
    });
}
