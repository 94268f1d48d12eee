//! HTTP/1.1, on either side or on both.

use crate::{
    h1::{App, Message, Wire},
    h2_client::{Client, PATH, grpc, with},
    h2_upstream::{Seen, Upstream, send, until},
    running::{Running, forward, nanos, run},
};
use bytes::Bytes;
use http::{Request, Response};
use infermesh_proxy::proto::{self, UpstreamProtocol};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

fn speaking(protocol: UpstreamProtocol, endpoint: &str) -> proto::ProxyConfig {
    let mut config = forward(&[endpoint]);
    config.clusters[0].protocol = protocol as i32;
    config
}

#[test]
fn http1_before_http1() {
    run(async {
        let app = App::echo().await;
        let proxy = Running::start(&forward(&[&app.address]));
        let mut wire = Wire::connect(&proxy.address).await;
        for _ in 0..3 {
            wire.write("POST /orders?x=1 HTTP/1.1\r\nhost: shop\r\ncontent-length: 5\r\n\r\nhello").await;
            let answer = wire.read().await.unwrap();
            assert_eq!(
                (&answer.first[..], answer.text()),
                ("HTTP/1.1 200 OK", "POST /orders?x=1 HTTP/1.1|hello")
            );
        }
        assert_eq!(app.accepted(), 1);
    });
}

#[test]
fn http2_before_http1() {
    run(async {
        let seen = Seen::default();
        let noted = seen.clone();
        let app = App::start(move |mut wire, _| {
            let seen = noted.clone();
            async move {
                while let Some(request) = wire.read().await {
                    seen.push(request);
                    wire.write("HTTP/1.1 201 Created\r\nconnection: keep-alive\r\nkeep-alive: timeout=5\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n").await;
                }
            }
        })
        .await;
        let proxy = Running::start(&forward(&[&app.address]));
        let client = Client::connect(&proxy.address).await;
        let head = Request::post("http://shop.local/orders").body(()).unwrap();
        let head = with(with(with(head, "cookie", "a=1"), "cookie", "b=2"), "x-kind", "test");
        let answer = client.exchange(head, "hello").await.unwrap();
        assert_eq!((answer.http_status(), &answer.body[..]), (201, &b"onetwo"[..]));
        assert!(
            answer.head.headers.get("keep-alive").is_none()
                && answer.head.headers.get("transfer-encoding").is_none()
        );
        let request = &seen.all()[0];
        assert_eq!((&request.first[..], request.text()), ("POST /orders HTTP/1.1", "hello"));
        assert_eq!(
            (request.header("host"), request.header("cookie")),
            (Some("shop.local"), Some("a=1; b=2"))
        );
        assert_eq!((request.header("x-kind"), request.header("te")), (Some("test"), None));
    });
}

#[test]
fn http1_before_http2() {
    run(async {
        let upstream = Upstream::start(|mut exchange| async move {
            let (body, _) = exchange.receive().await.unwrap();
            assert!(exchange.header("connection").is_none() && exchange.header("host").is_none());
            let said = format!("{}|{}", exchange.head.uri, String::from_utf8_lossy(&body));
            let head = Response::builder().status(202).header("x-kind", "test").body(()).unwrap();
            let mut stream = exchange.respond.send_response(head, false).unwrap();
            send(&mut stream, Bytes::from(said)).await;
            stream.send_data(Bytes::new(), true).unwrap();
        })
        .await;
        let proxy = Running::start(&speaking(UpstreamProtocol::Http2, &upstream.address));
        let mut wire = Wire::connect(&proxy.address).await;
        wire.write("PUT /orders HTTP/1.1\r\nhost: shop.local\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n").await;
        let answer = wire.read().await.unwrap();
        assert_eq!(
            (&answer.first[..], answer.text()),
            ("HTTP/1.1 202 Accepted", "http://shop.local/orders|hello")
        );
        assert_eq!(answer.header("x-kind"), Some("test"));
    });
}

#[test]
fn grpc_before_an_http1_upstream_is_answered_in_grpc() {
    run(async {
        let app = App::start(|mut wire, _| async move {
            wire.read().await.unwrap();
            wire.write("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy").await;
        })
        .await;
        let proxy = Running::start(&speaking(UpstreamProtocol::Http1, &app.address));
        let client = Client::connect(&proxy.address).await;
        let answer = client.exchange(grpc(PATH), "x").await.unwrap();
        // What a client of gRPC makes of an HTTP status is gRPC's own affair.
        assert_eq!((answer.http_status(), &answer.body[..]), (503, &b"busy"[..]));
    });
}

#[test]
fn answers_without_a_body_end_with_their_head() {
    run(async {
        let app = App::start(|mut wire, _| async move {
            while let Some(request) = wire.read().await {
                let answer = match request.first.split(' ').next().unwrap() {
                    "HEAD" => "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n",
                    "DELETE" => "HTTP/1.1 204 No Content\r\n\r\n",
                    _ => "HTTP/1.1 304 Not Modified\r\netag: \"7\"\r\n\r\n",
                };
                wire.write(answer).await;
            }
        })
        .await;
        let proxy = Running::start(&forward(&[&app.address]));
        let mut wire = Wire::connect(&proxy.address).await;
        for (method, first) in [
            ("HEAD", "HTTP/1.1 200 OK"),
            ("DELETE", "HTTP/1.1 204 No Content"),
            ("GET", "HTTP/1.1 304 Not Modified"),
        ] {
            wire.write(format!("{method} / HTTP/1.1\r\nhost: shop\r\n\r\n")).await;
            assert_eq!(wire.head().await.unwrap().first, first);
        }
        assert_eq!(app.accepted(), 1);
    });
}

#[test]
fn trailers_pass_where_they_are_announced() {
    run(async {
        let app = App::start(|mut wire, _| async move {
            while wire.read().await.is_some() {
                wire.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-digest\r\n\r\n2\r\nok\r\n0\r\nx-digest: 7f\r\n\r\n").await;
            }
        })
        .await;
        let proxy = Running::start(&forward(&[&app.address]));
        let mut wire = Wire::connect(&proxy.address).await;
        wire.write("GET / HTTP/1.1\r\nhost: shop\r\nte: trailers\r\n\r\n").await;
        let answer = wire.read().await.unwrap();
        assert_eq!(answer.text(), "ok");
        assert_eq!(answer.trailers, [("x-digest".to_owned(), "7f".to_owned())]);

        let client = Client::connect(&proxy.address).await;
        let answer = client.exchange(Request::get("http://shop/").body(()).unwrap(), "").await.unwrap();
        assert_eq!(answer.trailers.unwrap()["x-digest"], "7f");
    });
}

#[test]
fn trailers_of_a_request_pass_where_they_are_announced() {
    run(async {
        let app = App::start(|mut wire, _| async move {
            let request = wire.read().await.unwrap();
            let said = format!("{:?}", request.trailers);
            wire.write(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{said}", said.len())).await;
        })
        .await;
        let proxy = Running::start(&forward(&[&app.address]));
        let mut wire = Wire::connect(&proxy.address).await;
        wire.write("POST / HTTP/1.1\r\nhost: shop\r\ntrailer: x-digest\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-digest: 7f\r\n\r\n").await;
        assert_eq!(wire.read().await.unwrap().text(), "[(\"x-digest\", \"7f\")]");
    });
}

#[test]
fn large_bodies_pass_both_ways_over_http1() {
    run(async {
        let app = App::start(|mut wire, _| async move {
            let request = wire.read().await.unwrap();
            wire.write(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", request.body.len())).await;
            wire.write(request.body).await;
        })
        .await;
        let proxy = Running::start(&forward(&[&app.address]));
        let mut wire = Wire::connect(&proxy.address).await;
        let body: Vec<u8> =
            (0..64 << 20).map(|index: u32| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        wire.write(format!("POST / HTTP/1.1\r\nhost: shop\r\ncontent-length: {}\r\n\r\n", body.len())).await;
        wire.write(&body).await;
        assert!(wire.read().await.unwrap().body == body);
    });
}

/// A client that leaves takes its request with it: the app sees its connection end.
#[test]
fn a_client_that_leaves_takes_its_request_with_it() {
    run(async {
        let seen = Seen::default();
        let noted = seen.clone();
        let app = App::start(move |mut wire, _| {
            let seen = noted.clone();
            async move {
                wire.read().await.unwrap();
                seen.push("asked");
                assert!(wire.has_ended().await);
                seen.push("left");
            }
        })
        .await;
        let proxy = Running::start(&forward(&[&app.address]));
        let mut wire = Wire::connect(&proxy.address).await;
        wire.write("GET / HTTP/1.1\r\nhost: shop\r\n\r\n").await;
        until("the app is asked", || seen.all() == ["asked"]).await;
        drop(wire);
        until("the app is left", || seen.all() == ["asked", "left"]).await;
    });
}

#[test]
fn an_app_that_breaks_off_ends_the_connection_of_its_caller() {
    run(async {
        let app = App::start(|mut wire, _| async move {
            wire.read().await.unwrap();
            wire.write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await;
        })
        .await;
        let proxy = Running::start(&forward(&[&app.address]));
        let mut wire = Wire::connect(&proxy.address).await;
        wire.write("GET / HTTP/1.1\r\nhost: shop\r\n\r\n").await;
        assert_eq!(wire.head().await.unwrap().header("content-length"), Some("100"));
        assert_eq!(wire.read_exact(4).await, b"half");
        assert!(wire.has_ended().await);
    });
}

/// What is not seen to end is not counted: the breaker would never learn that the app is back.
#[test]
fn answers_over_http1_close_a_breaker() {
    run(async {
        let app = App::start(|mut wire, number| async move {
            while let Some(request) = wire.read().await {
                let status =
                    if request.first.contains("/bad") { "500 Internal Server Error" } else { "200 OK" };
                assert!(number < 100);
                wire.write(format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nok")).await;
            }
        })
        .await;
        let mut config = forward(&[&app.address]);
        config.clusters[0].breaker =
            Some(proto::Breaker { backoff_base_ns: nanos(Duration::from_millis(100)), ..Default::default() });
        let proxy = Running::start(&config);
        let mut wire = Wire::connect(&proxy.address).await;
        let mut ask = async |path: &str| -> Message {
            wire.write(format!("GET {path} HTTP/1.1\r\nhost: shop\r\n\r\n")).await;
            wire.read().await.unwrap()
        };
        let mut opened = Message::default();
        for _ in 0..8 {
            opened = ask("/bad").await;
        }
        assert!(opened.text().contains("is left alone after failures"), "{opened:?}");
        // One probe closes it, and all that follows passes.
        while ask("/").await.text() != "ok" {
            tokio::task::yield_now().await;
        }
        for _ in 0..100 {
            assert_eq!(ask("/").await.text(), "ok");
        }
    });
}

#[test]
fn what_cannot_be_sent_on_is_refused() {
    run(async {
        let app = App::echo().await;
        let proxy = Running::start(&forward(&[&app.address]));
        for (request, status) in [
            ("CONNECT other:80 HTTP/1.1\r\nhost: other:80\r\n\r\n", "501"),
            ("GET / HTTP/1.1\r\nhost: a b\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nhost : a\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: x\r\n\r\n", "400"),
        ] {
            let mut wire = Wire::connect(&proxy.address).await;
            wire.write(request).await;
            let answer = wire.head().await.unwrap();
            assert!(answer.first.contains(status), "{request:?}: {answer:?}");
        }
        assert_eq!(app.accepted(), 0);
    });
}

/// Two lengths are the beginning of many attacks: whoever believes the other one finds a second request in the first.
#[test]
fn where_there_are_chunks_no_length_is_passed_on() {
    run(async {
        let seen = Seen::default();
        let noted = seen.clone();
        let app = App::start(move |mut wire, _| {
            let seen = noted.clone();
            async move {
                while let Some(request) = wire.read().await {
                    seen.push((request.first.clone(), request.header("content-length").map(str::to_owned)));
                    wire.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
                }
            }
        })
        .await;
        let proxy = Running::start(&forward(&[&app.address]));
        let mut wire = Wire::connect(&proxy.address).await;
        wire.write(
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n\
             GET /admin HTTP/1.1\r\nhost: a\r\n\r\n",
        )
        .await;
        assert_eq!(wire.read().await.unwrap().text(), "ok");
        assert!(wire.has_ended().await);
        assert_eq!(seen.all(), [("POST / HTTP/1.1".to_owned(), None)]);
    });
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

async fn ask(wire: &mut Wire, method: &str) -> Message {
    wire.write(format!("{method} / HTTP/1.1\r\nhost: shop\r\ncontent-length: 1\r\n\r\nx")).await;
    wire.read().await.unwrap()
}

/// As apps do whose time for an idle connection is short. The end is there before the next request is sent.
#[test]
fn an_app_may_end_each_connection_without_a_word() {
    run(async {
        let app = App::start(|mut wire, _| async move {
            wire.read().await.unwrap();
            wire.write(OK).await;
        })
        .await;
        let proxy = Running::start(&forward(&[&app.address]));
        let mut wire = Wire::connect(&proxy.address).await;
        for _ in 0..300 {
            assert_eq!(ask(&mut wire, "POST").await.text(), "ok");
        }
        assert_eq!(app.accepted(), 300);
    });
}

/// The end crosses the next request: one that may be sent twice is.
#[test]
fn an_app_may_end_a_connection_as_a_request_comes() {
    run(async {
        let app = App::start(|mut wire, _| async move {
            wire.read().await.unwrap();
            wire.write(OK).await;
            assert!(wire.readable().await);
        })
        .await;
        let mut config = forward(&[&app.address]);
        // So that a body is kept.
        config.listeners[0].routes[0].retry = Some(proto::Retry { max_attempts: 1, ..Default::default() });
        let proxy = Running::start(&config);
        let mut wire = Wire::connect(&proxy.address).await;
        for method in ["GET", "PUT", "DELETE", "GET"] {
            assert_eq!(ask(&mut wire, method).await.text(), "ok");
        }
        assert_eq!(app.accepted(), 4);
    });
}

/// One that may not goes over a connection that was used just now, which nobody ends so soon, or over a new one.
#[test]
fn what_must_not_be_sent_twice_is_not_left_to_an_old_connection() {
    run(async {
        let app = App::start(|mut wire, _| async move {
            wire.read().await.unwrap();
            wire.write(OK).await;
            let waited = Instant::now();
            assert!(wire.readable().await);
            if waited.elapsed() < Duration::from_secs(1) {
                wire.read().await.unwrap();
                wire.write(OK).await;
            }
        })
        .await;
        let proxy = Running::start(&forward(&[&app.address]));
        let mut wire = Wire::connect(&proxy.address).await;
        assert_eq!(ask(&mut wire, "POST").await.text(), "ok");
        assert_eq!(ask(&mut wire, "POST").await.text(), "ok");
        assert_eq!(app.accepted(), 1);
        assert_eq!(ask(&mut wire, "POST").await.text(), "ok");
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        assert_eq!(ask(&mut wire, "POST").await.text(), "ok");
        assert_eq!(app.accepted(), 3);
    });
}

#[test]
fn an_http1_connection_ends_when_it_has_nothing_to_do_or_is_old() {
    run(async {
        let short = nanos(Duration::from_millis(50));
        let of = |pool| {
            let mut config = forward(&[]);
            config.clusters[0].pool = Some(pool);
            config
        };
        for mut config in [
            of(proto::Pool { idle_timeout_ns: short, ..Default::default() }),
            of(proto::Pool { max_age_ns: short, ..Default::default() }),
        ] {
            let seen = Seen::default();
            let noted = seen.clone();
            let app = App::start(move |mut wire, _| {
                let seen = noted.clone();
                async move {
                    while wire.read().await.is_some() {
                        wire.write(OK).await;
                    }
                    seen.push("ended");
                }
            })
            .await;
            let endpoints = vec![app.address.clone()];
            config.clusters[0].discovery =
                Some(proto::cluster::Discovery::Static(proto::Static { endpoints }));
            let proxy = Running::start(&config);
            let mut wire = Wire::connect(&proxy.address).await;
            for round in 1..4 {
                assert_eq!(ask(&mut wire, "POST").await.text(), "ok");
                until("it has ended", || seen.all().len() == round).await;
                assert_eq!(app.accepted(), round);
            }
        }
    });
}

#[test]
fn where_no_http1_connection_is_left_requests_wait_for_one() {
    run(async {
        let app = App::echo().await;
        let mut config = forward(&[&app.address]);
        config.clusters[0].pool = Some(proto::Pool { max_connections: 2, ..Default::default() });
        let proxy = Running::start(&config);
        let asking = (0..20).map(|_| async {
            let mut wire = Wire::connect(&proxy.address).await;
            for _ in 0..5 {
                assert_eq!(ask(&mut wire, "POST").await.text(), "POST / HTTP/1.1|x");
            }
        });
        futures_util::future::join_all(asking).await;
        assert_eq!(app.accepted(), 2);
    });
}

#[test]
fn a_connection_goes_on_after_a_request_that_was_refused_before_its_body_came() {
    run(async {
        // There is nobody at this address any more.
        let gone = App::start(|_, _| async {}).await.address.clone();
        let proxy = Running::start(&forward(&[&gone]));
        let mut wire = Wire::connect(&proxy.address).await;
        for _ in 0..2 {
            wire.write("POST /orders HTTP/1.1\r\nhost: shop.local\r\ncontent-length: 100000\r\n\r\n").await;
            let answer = wire.read().await.unwrap();
            assert_eq!(answer.first, "HTTP/1.1 503 Service Unavailable");
            wire.write(vec![b'.'; 100_000]).await;
        }
    });
}

/// As servers without threads do: a new connection is looked at when the one before has ended.
#[test]
fn an_app_may_serve_one_connection_at_a_time() {
    run(async {
        let turn = Arc::new(Semaphore::new(1));
        let app = App::start(move |mut wire, _| {
            let turn = turn.clone();
            async move {
                let _mine = turn.acquire().await.unwrap();
                while wire.read().await.is_some() {
                    wire.write(OK).await;
                }
            }
        })
        .await;
        let proxy = Running::start(&forward(&[&app.address]));
        let mut wire = Wire::connect(&proxy.address).await;
        for method in ["GET", "POST"] {
            assert_eq!(ask(&mut wire, method).await.text(), "ok");
            tokio::time::sleep(Duration::from_millis(1_100)).await;
        }
        assert_eq!(ask(&mut wire, "POST").await.text(), "ok");
        assert_eq!(app.accepted(), 3);
    });
}
