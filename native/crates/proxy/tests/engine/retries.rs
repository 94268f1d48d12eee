//! What is tried again, what is not, and what the caller sees of it.

use crate::{
    h2_client::{Answer, Client, PATH, answer, grpc, with},
    h2_upstream::{Seen, Upstream, grpc_head, send, status, until},
    running::{Running, cluster, config, nanos, route, run},
};
use bytes::Bytes;
use h2::Reason;
use infermesh_proxy::proto;
use std::time::{Duration, Instant};
use tokio::time::sleep;

const SECOND: Duration = Duration::from_secs(1);

fn retrying(endpoints: &[&str], retry: proto::Retry) -> proto::ProxyConfig {
    let route = proto::Route { retry: Some(retry), ..route("app") };
    config(route, vec![cluster("app", endpoints)])
}

/// One endpoint: its answer, and how often it was asked.
async fn alone(upstream: &Upstream, retry: proto::Retry) -> (Answer, usize) {
    let proxy = Running::start(&retrying(&[&upstream.address], retry));
    let client = Client::connect(&proxy.address).await;
    let answer = client.call("x").await;
    (answer, upstream.requests())
}

/// Without long waits.
fn quick() -> proto::Retry {
    proto::Retry { backoff_base_ns: 1_000_000, backoff_max_ns: 1_000_000, ..Default::default() }
}

/// Calls are answered by the good one of two endpoints, whichever is asked first.
async fn is_saved_from(bad: Upstream) {
    let good = Upstream::named("good").await;
    let proxy = Running::start(&retrying(&[&bad.address, &good.address], quick()));
    let client = Client::connect(&proxy.address).await;
    let first = Instant::now();
    // Fresh endpoints cost nothing, so both are asked at the beginning.
    while bad.requests() == 0 {
        assert_eq!(client.call("x").await.text(), "good");
        assert!(first.elapsed() < 10 * SECOND, "the bad one is never asked");
    }
}

#[test]
fn a_failure_is_answered_by_another_endpoint() {
    run(async { is_saved_from(Upstream::failing(14).await).await });
}

#[test]
fn a_failure_in_the_trailers_is_answered_by_another_endpoint() {
    run(async {
        let bad = Upstream::start(|mut exchange| async move {
            let _ = exchange.receive().await;
            let mut stream = exchange.respond.send_response(grpc_head(), false).unwrap();
            let _ = stream.send_trailers(status(14));
        });
        is_saved_from(bad.await).await;
    });
}

#[test]
fn a_refused_stream_is_answered_by_another_endpoint() {
    run(async {
        let bad = Upstream::start(|exchange| async move { exchange.reset(Reason::REFUSED_STREAM) });
        is_saved_from(bad.await).await;
    });
}

#[test]
fn a_reset_is_answered_by_another_endpoint() {
    run(async {
        let bad = Upstream::start(|exchange| async move { exchange.reset(Reason::INTERNAL_ERROR) });
        is_saved_from(bad.await).await;
    });
}

#[test]
fn an_endpoint_that_is_gone_costs_no_call() {
    run(async {
        let gone = Upstream::echo().await.stop().await;
        let good = Upstream::named("good").await;
        let proxy = Running::start(&retrying(&[&gone, &good.address], quick()));
        let client = Client::connect(&proxy.address).await;
        for _ in 0..50 {
            assert_eq!(client.call("x").await.text(), "good");
        }
    });
}

#[test]
fn what_is_sent_again_is_what_was_sent() {
    run(async {
        let seen = Seen::default();
        let noted = seen.clone();
        let upstream = Upstream::start(move |mut exchange| {
            let seen = noted.clone();
            async move {
                let (body, trailers) = exchange.receive().await.unwrap();
                let id = exchange.header("x-id").map(str::to_owned);
                seen.push((body, trailers, id));
                if seen.all().len() < 3 {
                    return exchange.fail(14);
                }
                exchange.answer("at last").await;
            }
        })
        .await;
        let proxy = Running::start(&retrying(&[&upstream.address], quick()));
        let client = Client::connect(&proxy.address).await;
        let body: Bytes =
            (0..5 << 20).map(|index: u32| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let (mut stream, response) = client.begin(with(grpc(PATH), "x-id", "7")).await;
        send(&mut stream, body.clone()).await;
        let trailers = http::HeaderMap::from_iter([("x-digest".parse().unwrap(), "7f".parse().unwrap())]);
        stream.send_trailers(trailers.clone()).unwrap();
        assert_eq!(answer(response).await.unwrap().text(), "at last");
        let seen = seen.all();
        assert_eq!(seen.len(), 3);
        for (got, tail, id) in seen {
            assert!(got == body, "{} bytes came, or other ones", got.len());
            assert_eq!((tail.as_ref(), id.as_deref()), (Some(&trailers), Some("7")));
        }
    });
}

#[test]
fn what_is_too_large_to_be_kept_is_sent_once() {
    run(async {
        let upstream = Upstream::failing(14).await;
        let mut config = retrying(&[&upstream.address], quick());
        config.limits = Some(proto::Limits { replay_request_bytes: 100_000, ..Default::default() });
        let proxy = Running::start(&config);
        let client = Client::connect(&proxy.address).await;
        assert_eq!(client.call(vec![1; 100_001]).await.code(), 14);
        assert_eq!(upstream.requests(), 1);
        assert_eq!(client.call(vec![1; 100_000]).await.code(), 14);
        assert_eq!(upstream.requests(), 4);
    });
}

#[test]
fn what_another_attempt_would_not_change_is_tried_once() {
    run(async {
        for code in [3, 5, 8, 12, 16] {
            let upstream = Upstream::failing(code).await;
            let (answer, asked) = alone(&upstream, quick()).await;
            assert_eq!((answer.code(), asked), (code, 1));
        }
    });
}

#[test]
fn the_last_failure_is_passed_on_as_it_is() {
    run(async {
        let upstream = Upstream::start(|mut exchange| async move {
            let _ = exchange.receive().await;
            let mut head = grpc_head();
            head.headers_mut().extend(status(14));
            head.headers_mut().insert("grpc-message", "the model is loading".parse().unwrap());
            exchange.respond.send_response(head, true).unwrap();
        })
        .await;
        let (answer, asked) = alone(&upstream, proto::Retry { max_attempts: 4, ..quick() }).await;
        assert_eq!((answer.code(), answer.message(), asked), (14, "the model is loading".into(), 4));
    });
}

#[test]
fn a_route_without_retries_asks_once() {
    run(async {
        let upstream = Upstream::failing(14).await;
        let proxy = Running::start(&crate::running::forward(&[&upstream.address]));
        let client = Client::connect(&proxy.address).await;
        assert_eq!(client.call("x").await.code(), 14);
        assert_eq!(upstream.requests(), 1);
    });
}

#[test]
fn a_server_says_when_it_wants_to_be_asked_again() {
    run(async {
        let upstream = Upstream::start(|mut exchange| async move {
            let _ = exchange.receive().await;
            let mut head = grpc_head();
            head.headers_mut().extend(status(14));
            let pushback = exchange.header("x-pushback").unwrap().parse().unwrap();
            head.headers_mut().insert("grpc-retry-pushback-ms", pushback);
            exchange.respond.send_response(head, true).unwrap();
        })
        .await;
        let proxy =
            Running::start(&retrying(&[&upstream.address], proto::Retry { max_attempts: 2, ..quick() }));
        let client = Client::connect(&proxy.address).await;
        let begun = Instant::now();
        client.exchange(with(grpc(PATH), "x-pushback", "300"), "x").await.unwrap();
        assert_eq!(upstream.requests(), 2);
        assert!(begun.elapsed() >= Duration::from_millis(300));
        client.exchange(with(grpc(PATH), "x-pushback", "-1"), "x").await.unwrap();
        assert_eq!(upstream.requests(), 3);
    });
}

/// A `grpc-timeout` in whole nanoseconds to hours.
fn parsed(timeout: &str) -> Duration {
    infermesh_policy::deadline::parse(timeout.as_bytes()).unwrap()
}

#[test]
fn each_attempt_is_told_what_is_left_and_no_attempt_gets_more() {
    run(async {
        let seen = Seen::default();
        let noted = seen.clone();
        let upstream = Upstream::start(move |mut exchange| {
            let seen = noted.clone();
            async move {
                let _ = exchange.receive().await;
                seen.push(parsed(exchange.header("grpc-timeout").unwrap()));
                exchange.fail(14);
            }
        })
        .await;
        let delay = 50_000_000;
        let retry = proto::Retry { backoff_base_ns: delay, backoff_max_ns: delay, ..Default::default() };
        let proxy = Running::start(&retrying(&[&upstream.address], retry));
        let client = Client::connect(&proxy.address).await;
        client.exchange(with(grpc(PATH), "grpc-timeout", "2S"), "x").await.unwrap();
        let seen = seen.all();
        assert_eq!(seen.len(), 3);
        assert!(seen[0] < 2 * SECOND && seen[0] > SECOND, "{seen:?}");
        for pair in seen.windows(2) {
            assert!(pair[1] + Duration::from_nanos(delay) <= pair[0], "{seen:?}");
        }
    });
}

#[test]
fn a_deadline_ends_the_call_whatever_is_tried() {
    run(async {
        let upstream = Upstream::start(|mut exchange| async move {
            let _ = exchange.given_up().await;
        })
        .await;
        let retry = proto::Retry { per_try_timeout_ns: nanos(SECOND / 4), max_attempts: 5, ..quick() };
        let proxy = Running::start(&retrying(&[&upstream.address], retry));
        let client = Client::connect(&proxy.address).await;
        let begun = Instant::now();
        let answer = client.exchange(with(grpc(PATH), "grpc-timeout", "600m"), "x").await.unwrap();
        let took = begun.elapsed();
        assert_eq!(answer.code(), 4);
        assert!(took >= Duration::from_millis(595) && took < Duration::from_millis(900), "{took:?}");
        assert!((2..=3).contains(&upstream.requests()), "{}", upstream.requests());
    });
}

#[test]
fn the_time_for_an_attempt_does_not_pass_while_the_caller_has_more_to_send() {
    run(async {
        let upstream = Upstream::start(|mut exchange| async move {
            // Or else it would give up by itself.
            assert_eq!(exchange.header("grpc-timeout"), None);
            let (body, _) = exchange.receive().await.unwrap();
            exchange.answer(body).await;
        })
        .await;
        let retry = proto::Retry { per_try_timeout_ns: nanos(SECOND / 10), ..quick() };
        let proxy = Running::start(&retrying(&[&upstream.address], retry));
        let client = Client::connect(&proxy.address).await;
        let (mut stream, response) = client.begin(grpc(PATH)).await;
        for piece in ["a", "b", "c"] {
            send(&mut stream, piece.into()).await;
            sleep(SECOND / 4).await;
        }
        stream.send_data(Bytes::new(), true).unwrap();
        assert_eq!(answer(response).await.unwrap().ok(), b"abc");
        assert_eq!(upstream.requests(), 1);
    });
}

#[test]
fn the_time_of_the_route_holds_where_the_caller_names_none() {
    run(async {
        let upstream = Upstream::start(|mut exchange| async move {
            let _ = exchange.given_up().await;
        })
        .await;
        let route = proto::Route { timeout_ns: nanos(SECOND / 5), ..route("app") };
        let proxy = Running::start(&config(route, vec![cluster("app", &[&upstream.address])]));
        let client = Client::connect(&proxy.address).await;
        let begun = Instant::now();
        assert_eq!(client.call("x").await.code(), 4);
        assert!(begun.elapsed() >= SECOND / 5);
        until("the upstream is told", || upstream.open() == 1).await;
    });
}

#[test]
fn an_answer_that_has_begun_ends_at_the_deadline() {
    run(async {
        let upstream = Upstream::start(|mut exchange| async move {
            let mut stream = exchange.respond.send_response(grpc_head(), false).unwrap();
            send(&mut stream, Bytes::from_static(b"half")).await;
            std::future::pending::<()>().await;
        })
        .await;
        let proxy = Running::start(&retrying(&[&upstream.address], quick()));
        let client = Client::connect(&proxy.address).await;
        let answer = client.exchange(with(grpc(PATH), "grpc-timeout", "300m"), "x").await.unwrap();
        assert_eq!((&answer.body[..], answer.code()), (&b"half"[..], 4));
        assert_eq!(upstream.requests(), 1);
    });
}

#[test]
fn a_request_of_a_sequence_is_not_sent_twice() {
    run(async {
        // It may have been executed.
        let upstream =
            Upstream::start(|exchange| async move { exchange.reset(Reason::INTERNAL_ERROR) }).await;
        let proxy = Running::start(&retrying(&[&upstream.address], quick()));
        let client = Client::connect(&proxy.address).await;
        assert_eq!(client.call(&b"\x0a\x0bsequence_id\x18\x07"[..]).await.code(), 14);
        assert_eq!(upstream.requests(), 1);
    });
}

#[test]
fn retries_stay_within_their_budget() {
    run(async {
        let upstream = Upstream::failing(14).await;
        let retry = proto::Retry { budget_ratio: 0.2, budget_reserve: 0.1, ..quick() };
        let proxy = Running::start(&retrying(&[&upstream.address], retry));
        let client = Client::connect(&proxy.address).await;
        for _ in 0..100 {
            assert_eq!(client.call("x").await.code(), 14);
        }
        assert!((110..=122).contains(&upstream.requests()), "{}", upstream.requests());
    });
}

#[test]
fn all_endpoints_failing_says_why_and_when_one_is_asked_again() {
    run(async {
        let upstream = Upstream::failing(14).await;
        let mut config = retrying(&[&upstream.address], quick());
        config.clusters[0].breaker =
            Some(proto::Breaker { backoff_base_ns: nanos(SECOND / 2), ..Default::default() });
        let proxy = Running::start(&config);
        let client = Client::connect(&proxy.address).await;
        let mut said = String::new();
        for _ in 0..5 {
            said = client.call("x").await.message();
        }
        assert!(said.contains(&format!("{} is left alone after failures", upstream.address)), "{said}");
        let asked = upstream.requests();
        assert_eq!(asked, 5);
        let begun = Instant::now();
        while upstream.requests() == asked {
            client.call("x").await;
            assert!(begun.elapsed() < 10 * SECOND, "it is never asked again");
        }
        assert!(begun.elapsed() > SECOND / 3, "{:?}", begun.elapsed());
    });
}

/// A probe whose caller had little time has shown that the endpoint is silent: others do not have to find that out, too.
#[test]
fn a_probe_that_gets_no_answer_is_not_repeated_at_once() {
    run(async {
        let upstream = Upstream::start(|mut exchange| async move {
            let _ = exchange.receive().await;
            if exchange.header("x-frozen").is_some() {
                let _ = exchange.given_up().await;
            }
            exchange.fail(14);
        })
        .await;
        let mut config = crate::running::forward(&[&upstream.address]);
        config.clusters[0].breaker =
            Some(proto::Breaker { backoff_base_ns: nanos(SECOND / 10), ..Default::default() });
        let proxy = Running::start(&config);
        let client = Client::connect(&proxy.address).await;
        for _ in 0..5 {
            client.call("x").await;
        }
        let hurried = || with(with(grpc(PATH), "grpc-timeout", "50m"), "x-frozen", "1");
        let mut answer = client.exchange(hurried(), "x").await.unwrap();
        while answer.code() == 14 {
            answer = client.exchange(hurried(), "x").await.unwrap();
        }
        assert_eq!((answer.code(), upstream.requests()), (4, 6));
        let answer = client.exchange(hurried(), "x").await.unwrap();
        assert_eq!((answer.code(), upstream.requests()), (14, 6));
        assert!(answer.message().contains("is left alone after failures"), "{}", answer.message());
    });
}
