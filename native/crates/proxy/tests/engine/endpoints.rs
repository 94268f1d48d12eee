//! Which endpoints there are, which come and go, and which are left alone.

use crate::{
    h2_client::{Client, PATH, answer, grpc},
    h2_upstream::{Exchange, Options, Seen, Upstream, grpc_head, status, until},
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

/// And whoever is found by it is called by it, whatever the app has called.
#[test]
fn a_name_is_looked_up() {
    run(async {
        let called = Seen::default();
        let noted = called.clone();
        let upstream = Upstream::start(move |mut exchange: Exchange| {
            noted.push(exchange.head.uri.authority().unwrap().to_string());
            async move {
                exchange.receive().await.unwrap();
                exchange.answer("here").await;
            }
        })
        .await;
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
        assert_eq!(called.all(), [format!("localhost:{port}")]);
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

        // Also where no other takes its place.
        proxy.proxy().set_endpoints("app", &[]).unwrap();
        until("the new connection has ended", || new.open() == 0).await;
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

/// Who has too much to do lives: to leave it alone would make its overload that of the others, and of one alone a failure of all.
#[test]
fn who_has_too_much_to_do_is_not_left_alone() {
    run(async {
        let busy = Upstream::start(|exchange: Exchange| async move { exchange.refuse() }).await;
        let failing = Upstream::failing(14).await;
        for (upstream, asked) in [(busy, 20), (failing, 3)] {
            let mut given = forward(&[&upstream.address]);
            given.clusters[0].breaker =
                Some(proto::Breaker { consecutive_failures: 3, ..Default::default() });
            let proxy = Running::start(&given);
            let client = Client::connect(&proxy.address).await;
            for _ in 0..20 {
                assert_eq!(client.call("x").await.code(), 14);
            }
            assert_eq!(upstream.requests(), asked);
        }
    });
}

#[test]
fn what_one_has_no_time_for_another_may_have() {
    run(async {
        let busy = Upstream::start(|exchange: Exchange| async move { exchange.refuse() }).await;
        let idle = Upstream::named("idle").await;
        let mut given = forward(&[&busy.address, &idle.address]);
        given.listeners[0].routes[0].retry = Some(proto::Retry { budget_ratio: 1.0, ..Default::default() });
        let proxy = Running::start(&given);
        let client = Client::connect(&proxy.address).await;
        for _ in 0..20 {
            assert_eq!(client.call("x").await.text(), "idle");
        }
        assert!(busy.requests() > 0);
    });
}

/// All of them gone: that is said at once. When they are back everything goes on by itself, as soon as the breakers let a
/// probe through.
#[test]
fn what_comes_back_is_found_again() {
    run(async {
        let (one, other) = (Upstream::named("one").await, Upstream::named("other").await);
        let mut given = forward(&[&one.address, &other.address]);
        given.listeners[0].routes[0].retry = Some(proto::Retry::default());
        given.clusters[0].breaker =
            Some(proto::Breaker { backoff_base_ns: nanos(Duration::from_millis(200)), ..Default::default() });
        let proxy = Running::start(&given);
        let client = Client::connect(&proxy.address).await;
        while one.requests() == 0 || other.requests() == 0 {
            client.call("x").await.ok();
        }
        let (one, other) = (one.stop().await, other.stop().await);
        let mut said = String::new();
        while said.matches("is left alone after failures").count() < 2 {
            let begun = Instant::now();
            let answer = client.call("x").await;
            assert_eq!(answer.code(), 14);
            assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
            said = answer.message();
        }
        let back = async |address: &str| {
            Upstream::with(address, Options::default(), |mut exchange| async move {
                let _ = exchange.receive().await;
                exchange.answer("back").await;
            })
            .await
        };
        let _both = (back(&one).await, back(&other).await);
        let begun = Instant::now();
        while client.call("x").await.code() != 0 {}
        // No probe can have failed more than once or twice by then.
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        for _ in 0..100 {
            assert_eq!(client.call("x").await.text(), "back");
        }
    });
}

#[test]
fn an_endpoint_may_be_a_socket_of_this_machine() {
    run(async {
        let path = std::env::temp_dir().join(format!("infermesh-engine-{}", std::process::id()));
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        tokio::spawn(async move {
            let (socket, _) = listener.accept().await.unwrap();
            let mut connection = h2::server::handshake(socket).await.unwrap();
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                let mut head = grpc_head();
                head.headers_mut().extend(status(0));
                respond
                    .send_response(head, false)
                    .unwrap()
                    .send_data(Bytes::from_static(b"near"), true)
                    .unwrap();
            }
        });
        let proxy = Running::start(&forward(&[&format!("unix:{}", path.display())]));
        let client = Client::connect(&proxy.address).await;
        assert_eq!(client.call("x").await.text(), "near");
        std::fs::remove_file(path).unwrap();
    });
}
