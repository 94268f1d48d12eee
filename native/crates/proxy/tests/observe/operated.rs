//! The admin endpoint.

use crate::{
    admin::{admin, get, json, request, send, text},
    h2_client::{Client, PATH, grpc},
    h2_upstream::{Upstream, until},
    running::{Running, forward, run},
};
use http_body_util::BodyExt;
use infermesh_proxy::proto;
use std::{path::PathBuf, time::Duration};
use tokio::net::TcpStream;

#[test]
fn ready_says_why_it_is_not() {
    run(async {
        let proxy = Running::start(&forward(&["127.0.0.1:1"]));
        let address = admin(proxy.proxy());
        assert_eq!(json(&address, "/live").await["live"], true);
        let answer = send(&address, request("GET", "/ready"), "").await;
        assert_eq!(answer.status(), 503);
        let said = text(answer).await;
        assert!(said.contains("has not said yet"), "{said}");
        proxy.proxy().set_ready(true);
        assert_eq!(json(&address, "/ready").await["ready"], true);
    });
}

#[test]
fn the_index_names_every_path_and_anything_else_is_refused() {
    run(async {
        let proxy = Running::start(&forward(&["127.0.0.1:1"]));
        let address = admin(proxy.proxy());
        let index = get(&address, "/").await;
        assert!(index.contains("proxy 'test', version 0"), "{index}");
        let paths = index.lines().filter_map(|line| line.strip_prefix("GET  /")?.split(' ').next());
        for path in paths.filter(|path| !["ready", "tap"].contains(path)) {
            get(&address, &format!("/{path}")).await;
        }
        assert_eq!(send(&address, request("GET", "/other"), "").await.status(), 404);
        assert_eq!(send(&address, request("POST", "/metrics"), "").await.status(), 405);
        assert_eq!(send(&address, request("GET", "/drain"), "").await.status(), 405);
    });
}

#[test]
fn a_browser_gets_a_page_and_what_its_owner_shows() {
    run(async {
        let proxy = Running::start(&forward(&["127.0.0.1:1"]));
        let owner = proxy.proxy();
        let address = admin(owner);
        let browser = || request("GET", "/").header("accept", "text/html,*/*;q=0.8");
        assert!(text(send(&address, browser(), "").await).await.contains("GET  /live"));
        assert_eq!(send(&address, request("GET", "/api/overview"), "").await.status(), 404);

        let header = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        let file = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        let files = vec![("/".to_owned(), file, header("content-type", "text/html"))];
        assert!(owner.set_page(header("a b", "c"), Vec::new()).unwrap_err().contains("'a b'"));
        owner.set_page(header("x-content-type-options", "nosniff"), files).unwrap();
        let answer = send(&address, browser(), "").await;
        assert_eq!(answer.headers()["content-type"], "text/html");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        assert_eq!(text(answer).await, include_str!("../../Cargo.toml"));
        assert!(get(&address, "/").await.contains("GET  /api/stream"));

        // Nobody has looked at a picture yet.
        assert!(!owner.is_picture_wanted());
        let mut stream = send(&address, request("GET", "/api/stream"), "").await.into_body();
        until("a picture is wanted", || owner.is_picture_wanted()).await;
        owner.show_picture(b"{}".to_vec());
        let event = stream.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(event, "data: {}\n\n");
        assert_eq!(get(&address, "/api/overview").await, "{}");
        assert!(proxy.drain(Duration::from_secs(30)).join().unwrap());
        assert!(stream.frame().await.is_none());
    });
}

#[test]
fn whoever_asks_for_the_end_is_heard_unless_a_browser_asks() {
    run(async {
        for path in ["/drain", "/quit"] {
            let proxy = Running::start(&forward(&["127.0.0.1:1"]));
            proxy.proxy().set_ready(true);
            let address = admin(proxy.proxy());
            let foreign = request("POST", path).header("origin", "http://evil.example");
            assert_eq!(send(&address, foreign, "").await.status(), 403);
            assert!(!proxy.proxy().drain_requested());
            assert_eq!(send(&address, request("POST", path), "").await.status(), 202);
            assert!(proxy.proxy().drain_requested());
            assert_eq!(send(&address, request("GET", "/ready"), "").await.status(), 503);
        }
    });
}

#[test]
fn endpoints_tell_how_they_do() {
    run(async {
        let upstream = Upstream::failing(14).await;
        let mut config = forward(&[&upstream.address]);
        config.clusters[0].breaker = Some(proto::Breaker::default());
        let proxy = Running::start(&config);
        let address = admin(proxy.proxy());
        let client = Client::connect(&proxy.address).await;
        // Opens after five, of which none succeeded.
        for _ in 0..6 {
            assert_eq!(client.call("x").await.code(), 14);
        }
        let found = json(&address, "/endpoints").await;
        let endpoint = &found[0];
        assert_eq!((&endpoint["cluster"], &endpoint["requests"]), (&"app".into(), &5.into()));
        assert_eq!(endpoint["failures"], 5);
        assert_eq!(endpoint["endpoint"], upstream.address);
        assert_eq!((&endpoint["healthy"], &endpoint["available"]), (&true.into(), &false.into()));
        assert_eq!(endpoint["breaker"]["state"], "open");
        assert!(endpoint["breaker"]["open_for_seconds"].as_f64().unwrap() > 0.0);
        assert!(endpoint["unavailable_because"].as_str().unwrap().contains("after failures"));
        assert!(endpoint["latency_seconds"]["p50"].as_f64().unwrap() > 0.0);

        let stats = json(&address, "/stats").await;
        let route = &stats["routes"][0];
        assert_eq!((&route["requests"], &route["failures"]), (&6.into(), &6.into()));
        assert!(route["requests_per_second"].as_f64().unwrap() > 0.0);
        assert_eq!(stats["endpoints"][0]["requests"], 5);
    });
}

#[test]
fn a_proxy_that_speaks_plaintext_has_no_certificates() {
    run(async {
        let proxy = Running::start(&forward(&["127.0.0.1:1"]));
        let found = json(&admin(proxy.proxy()), "/certificates").await;
        assert!(found["identity"].is_null());
    });
}

#[test]
fn it_answers_while_the_proxy_drains_and_ends_with_it() {
    run(async {
        let upstream = Upstream::start(|mut exchange| async move {
            let _ = exchange.receive().await;
            exchange.given_up().await;
        })
        .await;
        let proxy = Running::start(&forward(&[&upstream.address]));
        proxy.proxy().set_ready(true);
        let address = admin(proxy.proxy());
        let client = Client::connect(&proxy.address).await;
        let (stream, response) = client.begin(grpc(PATH)).await;
        until("the upstream is asked", || upstream.requests() == 1).await;
        let drained = proxy.drain(Duration::from_secs(30));
        loop {
            let answer = send(&address, request("GET", "/ready"), "").await;
            assert_eq!(json(&address, "/live").await["live"], true);
            if answer.status() == 503 && text(answer).await.contains("finishes what is under way") {
                break;
            }
        }
        drop((stream, response, client));
        assert!(tokio::task::spawn_blocking(move || drained.join().unwrap()).await.unwrap());
        // Its socket is closed by whoever accepts, a moment later.
        while TcpStream::connect(&address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn an_address_that_is_taken_is_named() {
    run(async {
        let proxy = Running::start(&forward(&["127.0.0.1:1"]));
        let (host, port) = ("127.0.0.1", admin(proxy.proxy()).rsplit_once(':').unwrap().1.parse().unwrap());
        let error = proxy.proxy().listen_admin(host, port).unwrap_err().to_string();
        assert!(error.contains(&format!("127.0.0.1:{port}")), "{error}");
    });
}
