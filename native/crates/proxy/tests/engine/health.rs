//! Endpoints that are asked whether they are well.

use crate::{
    h1::App,
    h2_client::Client,
    h2_upstream::{Exchange, Upstream, until},
    running::{Running, cluster, config, nanos, route, run},
};
use infermesh_proxy::proto;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

const SERVING: usize = 1;
const NOT_SERVING: usize = 2;

/// A server that says how it is, and counts what it is asked.
struct Patient {
    upstream: Upstream,
    state: Arc<AtomicUsize>,
    checks: Arc<AtomicUsize>,
    calls: Arc<AtomicUsize>,
}

impl Patient {
    async fn start(name: &'static str) -> Self {
        let state = Arc::new(AtomicUsize::new(SERVING));
        let (checks, calls) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (says, checked, called) = (state.clone(), checks.clone(), calls.clone());
        let upstream = Upstream::start(move |mut exchange: Exchange| {
            let (says, checked, called) = (says.clone(), checked.clone(), called.clone());
            async move {
                let Ok((message, _)) = exchange.receive().await else { return };
                if exchange.head.uri.path() == "/grpc.health.v1.Health/Check" {
                    checked.fetch_add(1, Relaxed);
                    assert_eq!(message, b"\x00\x00\x00\x00\x07\x0a\x05fraud"[..]);
                    return exchange.answer(vec![0, 0, 0, 0, 2, 8, says.load(Relaxed) as u8]).await;
                }
                called.fetch_add(1, Relaxed);
                exchange.answer(name).await;
            }
        });
        Self { upstream: upstream.await, state, checks, calls }
    }

    fn is(&self, state: usize) {
        self.state.store(state, Relaxed);
    }

    fn calls(&self) -> usize {
        self.calls.load(Relaxed)
    }

    /// Waits for so many more checks to have begun: all but the last have ended.
    async fn checked(&self, times: usize) {
        let before = self.checks.load(Relaxed);
        until("it is checked", || self.checks.load(Relaxed) > before + times).await;
    }
}

fn checked(endpoints: &[&str], check: proto::HealthCheck) -> proto::ProxyConfig {
    let check = proto::HealthCheck { interval_ns: nanos(Duration::from_millis(20)), ..check };
    let cluster = proto::Cluster { health_check: Some(check), ..cluster("app", endpoints) };
    config(route("app"), vec![cluster])
}

fn fraud() -> proto::HealthCheck {
    proto::HealthCheck { service: "fraud".into(), ..Default::default() }
}

#[test]
fn who_is_ill_is_sent_nothing_until_it_is_well_again() {
    run(async {
        let (one, other) = (Patient::start("one").await, Patient::start("other").await);
        let addresses = [&one.upstream.address[..], &other.upstream.address];
        let proxy = Running::start(&checked(&addresses, fraud()));
        let client = Client::connect(&proxy.address).await;
        while one.calls() == 0 || other.calls() == 0 {
            client.call("x").await.ok();
        }
        one.is(NOT_SERVING);
        one.checked(2).await;
        let before = one.calls();
        for _ in 0..50 {
            assert_eq!(client.call("x").await.text(), "other");
        }
        assert_eq!(one.calls(), before);
        one.is(SERVING);
        one.checked(1).await;
        while one.calls() == before {
            client.call("x").await.ok();
        }
        // One connection of the proxy's thread, one for all checks.
        assert_eq!(one.upstream.accepted(), 2);
    });
}

/// Nobody is asked who says that he is ill: the answer is there at once, and says of each what is known. Once they are back
/// everything goes on by itself.
#[test]
fn where_all_are_ill_nobody_is_asked() {
    run(async {
        let ill = Patient::start("well again").await;
        ill.is(NOT_SERVING);
        let gone = Patient::start("gone").await.upstream.stop().await;
        let proxy = Running::start(&checked(&[&ill.upstream.address, &gone], fraud()));
        let client = Client::connect(&proxy.address).await;
        ill.checked(2).await;
        let mut said = String::new();
        until_told(&client, &mut said, "Connection refused").await;
        let asked = ill.calls();
        assert!(
            said.contains(&format!("{} fails its health checks: it says NOT_SERVING", ill.upstream.address)),
            "{said}"
        );
        assert!(said.contains(&format!("{gone} fails its health checks: cannot connect to")), "{said}");
        assert_eq!(client.call("x").await.code(), 14);
        assert_eq!(ill.calls(), asked);
        ill.is(SERVING);
        ill.checked(1).await;
        assert_eq!(client.call("x").await.text(), "well again");
    });
}

async fn until_told(client: &Client, said: &mut String, what: &str) {
    while !said.contains(what) {
        let answer = client.call("x").await;
        assert_eq!(answer.code(), 14);
        *said = answer.message();
    }
}

#[test]
fn an_endpoint_that_does_not_answer_its_checks_is_ill() {
    run(async {
        let silent = App::start(|mut wire, _| async move { while wire.try_read(1).await.is_some() {} }).await;
        let check = proto::HealthCheck { timeout_ns: nanos(Duration::from_millis(50)), ..fraud() };
        let mut config = checked(&[&silent.address], check);
        // Long enough not to be what the call fails with.
        config.listeners[0].routes[0].timeout_ns = nanos(Duration::from_millis(500));
        let proxy = Running::start(&config);
        let client = Client::connect(&proxy.address).await;
        let mut answer = client.call("x").await;
        while !answer.message().contains("fails its health checks: it does not answer in time") {
            answer = client.call("x").await;
        }
        assert_eq!(answer.code(), 14);
    });
}

#[test]
fn a_server_without_a_health_service_says_so() {
    run(async {
        let upstream = Upstream::failing(12).await;
        let proxy = Running::start(&checked(&[&upstream.address], fraud()));
        let client = Client::connect(&proxy.address).await;
        let mut answer = client.call("x").await;
        while answer.code() == 12 {
            answer = client.call("x").await;
        }
        assert!(answer.message().contains("it has no grpc.health.v1.Health"), "{}", answer.message());
    });
}

#[test]
fn a_path_may_be_asked_instead() {
    run(async {
        let is_well = Arc::new(AtomicUsize::new(503));
        let says = is_well.clone();
        let app = App::start(move |mut wire, _| {
            let says = says.clone();
            async move {
                while let Some(request) = wire.read().await {
                    let status = match &request.first[..] {
                        "GET /healthz?full=1 HTTP/1.1" => says.load(Relaxed),
                        _ => 200,
                    };
                    wire.write(format!("HTTP/1.1 {status} It is\r\ncontent-length: 2\r\n\r\nok")).await;
                }
            }
        })
        .await;
        let check = proto::HealthCheck { path: "/healthz?full=1".into(), ..Default::default() };
        let proxy = Running::start(&checked(&[&app.address], check));
        let client = Client::connect(&proxy.address).await;
        let ask = async || {
            let head = http::Request::get("http://shop.local/").body(()).unwrap();
            client.exchange(head, "").await.unwrap()
        };
        let mut answer = ask().await;
        while answer.http_status() == 200 {
            answer = ask().await;
        }
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(said.contains("fails its health checks: it answers 503"), "{said}");
        is_well.store(200, Relaxed);
        while answer.http_status() == 503 {
            answer = ask().await;
        }
        assert_eq!((answer.http_status(), &answer.body[..]), (200, &b"ok"[..]));
    });
}
