//! A share of a cluster's requests goes to another one.

use crate::{
    h2_client::{Client, PATH, grpc, with},
    h2_upstream::{Exchange, Upstream},
    running::{Running, cluster, config, nanos, refused, route, run},
};
use infermesh_proxy::proto;
use std::time::Duration;

/// Of the requests for `app` so many millionths go to `canary`.
fn split(app: &[&str], canary: &[&str], millionths: u32) -> proto::ProxyConfig {
    let split = vec![proto::Split { cluster: "canary".into(), millionths }];
    let app = proto::Cluster { split, ..cluster("app", app) };
    config(route("app"), vec![app, cluster("canary", canary)])
}

fn quick() -> proto::Retry {
    proto::Retry {
        backoff_base_ns: nanos(Duration::from_millis(1)),
        backoff_max_ns: nanos(Duration::from_millis(1)),
        budget_ratio: 1.0,
        ..Default::default()
    }
}

#[test]
fn the_share_is_exact_from_the_beginning() {
    run(async {
        let (app, canary) = (Upstream::named("app").await, Upstream::named("canary").await);
        let proxy = Running::start(&split(&[&app.address], &[&canary.address], 100_000));
        let client = Client::connect(&proxy.address).await;
        assert_eq!(client.call("x").await.text(), "app");
        for made in 2..=2_000_usize {
            client.call("x").await.ok();
            assert!(canary.requests().abs_diff(made / 10) <= 2, "{} of {made}", canary.requests());
        }
        assert_eq!((app.requests(), canary.requests()), (1_800, 200));
    });
}

#[test]
fn several_get_their_shares_and_all_may_go() {
    run(async {
        let app = Upstream::named("app").await;
        let (one, other) = (Upstream::named("one").await, Upstream::named("other").await);
        let to = |name: &str, millionths| proto::Split { cluster: name.into(), millionths };
        let split = vec![to("one", 250_000), to("other", 750_000)];
        let clusters = vec![
            proto::Cluster { split, ..cluster("app", &[&app.address]) },
            cluster("one", &[&one.address]),
            cluster("other", &[&other.address]),
        ];
        let proxy = Running::start(&config(route("app"), clusters));
        let client = Client::connect(&proxy.address).await;
        for _ in 0..400 {
            client.call("x").await.ok();
        }
        assert_eq!(app.requests(), 0);
        assert!(one.requests().abs_diff(100) <= 2, "{}", one.requests());
        assert_eq!(one.requests() + other.requests(), 400);
    });
}

/// A canary that fails shows as that, and is not covered up by those that it is compared with.
#[test]
fn all_attempts_of_a_request_go_to_one_cluster() {
    run(async {
        let (app, canary) = (Upstream::named("app").await, Upstream::failing(14).await);
        let mut given = split(&[&app.address], &[&canary.address], 500_000);
        given.listeners[0].routes[0].retry = Some(proto::Retry { max_attempts: 3, ..quick() });
        let proxy = Running::start(&given);
        let client = Client::connect(&proxy.address).await;
        let mut failed = 0;
        for _ in 0..10 {
            failed += usize::from(client.call("x").await.code() == 14);
        }
        assert!((4..=6).contains(&failed), "{failed}");
        assert_eq!((app.requests(), canary.requests()), (10 - failed, 3 * failed));
    });
}

#[test]
fn what_no_endpoint_may_be_asked_for_stays() {
    run(async {
        let (app, canary) = (Upstream::named("app").await, Upstream::failing(14).await);
        let nobody = split(&[&app.address], &[], 500_000);
        let mut left_alone = split(&[&app.address], &[&canary.address], 500_000);
        left_alone.clusters[1].breaker = Some(proto::Breaker {
            consecutive_failures: 1,
            backoff_base_ns: nanos(Duration::from_secs(60)),
            ..Default::default()
        });
        for (given, failures) in [(nobody, 0), (left_alone, 1)] {
            let proxy = Running::start(&given);
            let client = Client::connect(&proxy.address).await;
            let mut failed = 0;
            for _ in 0..20 {
                failed += usize::from(client.call("x").await.code() == 14);
            }
            assert_eq!((failed, canary.requests()), (failures, failures));
        }
        assert_eq!(app.requests(), 20 + 19);
    });
}

#[test]
fn a_second_attempt_beside_the_first_stays_too() {
    run(async {
        let slow = |name: &'static str| {
            Upstream::start(move |mut exchange: Exchange| async move {
                exchange.receive().await.unwrap();
                // Longer than what the first is given alone.
                tokio::time::sleep(Duration::from_millis(100)).await;
                exchange.answer(name).await;
            })
        };
        let app = Upstream::named("app").await;
        let (one, other) = (slow("canary").await, slow("canary").await);
        let mut given = split(&[&app.address], &[&one.address, &other.address], 1_000_000);
        let delay_ns = nanos(Duration::from_millis(10));
        given.listeners[0].routes[0].hedge =
            Some(proto::Hedge { delay_ns, budget_ratio: 1.0, ..Default::default() });
        let proxy = Running::start(&given);
        let client = Client::connect(&proxy.address).await;
        for _ in 0..4 {
            assert_eq!(client.call("x").await.text(), "canary");
        }
        assert_eq!(app.requests(), 0);
        assert!(one.requests() + other.requests() > 4);
    });
}

/// What a cluster is called, and how it is spoken to, is its own.
#[test]
fn who_is_found_by_a_name_is_called_by_it() {
    run(async {
        let canary = Upstream::start(|exchange: Exchange| async move {
            let name = exchange.head.uri.authority().unwrap().to_string();
            exchange.answer(name).await;
        })
        .await;
        let mut given = split(&["127.0.0.1:1"], &[], 1_000_000);
        let (host, port) = canary.address.rsplit_once(':').unwrap();
        let port = port.parse().unwrap();
        let dns = proto::Dns { host: host.into(), port, interval_ns: 0 };
        given.clusters[1].discovery = Some(proto::cluster::Discovery::Dns(dns));
        given.listeners[0].routes[0].retry = Some(proto::Retry { max_attempts: 5, ..quick() });
        let proxy = Running::start(&given);
        let client = Client::connect(&proxy.address).await;
        let answer = loop {
            let answer = client.exchange(with(grpc(PATH), "x-try", "1"), "x").await.unwrap();
            // The name may not have been looked up yet.
            if answer.code() == 0 {
                break answer;
            }
        };
        assert_eq!(answer.text(), canary.address);
    });
}

#[test]
fn what_is_wrong_with_a_split_is_named() {
    let with = |splits: &[(&str, u32)]| {
        let mut given = split(&["127.0.0.1:1"], &["127.0.0.1:1"], 1);
        given.clusters[0].split = splits
            .iter()
            .map(|(name, millionths)| proto::Split { cluster: (*name).into(), millionths: *millionths })
            .collect();
        let split = vec![proto::Split { cluster: "canary".into(), millionths: 1 }];
        given.clusters.push(proto::Cluster { split, ..cluster("half", &["127.0.0.1:1"]) });
        refused(&given)
    };
    let whole = "expected a cluster whose requests are not split";
    assert_eq!(
        with(&[("app", 1)]),
        "clusters[0].split[0].cluster: found 'app' itself, expected another cluster"
    );
    assert_eq!(with(&[("nobody", 1)]), format!("clusters[0].split[0].cluster: found 'nobody', {whole}"));
    assert_eq!(with(&[("half", 1)]), format!("clusters[0].split[0].cluster: found 'half', {whole}"));
    assert_eq!(
        with(&[("canary", 1), ("canary", 1)]),
        "clusters[0].split[1].cluster: found 'canary' again, expected another cluster"
    );
    assert_eq!(
        with(&[("canary", 0)]),
        "clusters[0].split[0].millionths: found 0, expected 1 to 1000000, which are left"
    );
    assert_eq!(
        with(&[("canary", 1_000_001)]),
        "clusters[0].split[0].millionths: found 1000001, expected 1 to 1000000, which are left"
    );
}
