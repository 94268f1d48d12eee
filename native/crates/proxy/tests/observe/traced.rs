//! Traces pass, are recorded, and hang together.

use crate::{
    admin::{request, send, text},
    h2_client::{Client, PATH, grpc, with},
    h2_upstream::{Exchange, Seen, Upstream, until},
    running::{Running, cluster, config, forward, route, run},
    spans::{CLIENT, SERVER, hex, record, spans},
};
use http::HeaderMap;
use infermesh_proxy::proto;
use std::sync::{Arc, OnceLock};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{CALLER}-{flags}")
}

/// Answers everything with a code, and keeps the headers it has seen.
async fn upstream(code: u16) -> (Upstream, Seen<HeaderMap>) {
    let seen = Seen::default();
    let kept = seen.clone();
    let script = move |mut exchange: Exchange| {
        let kept = kept.clone();
        async move {
            kept.push(exchange.head.headers.clone());
            let _ = exchange.receive().await;
            match code {
                0 => exchange.answer("good").await,
                code => exchange.fail(code),
            }
        }
    };
    (Upstream::start(script).await, seen)
}

fn said<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

#[test]
fn each_attempt_is_below_the_request_and_what_the_endpoint_does_below_its_attempt() {
    run(async {
        let ((failing, by_failing), (good, by_good)) = (upstream(14).await, upstream(0).await);
        let mut app = route("app");
        app.retry = Some(proto::Retry { max_attempts: 3, ..Default::default() });
        let proxy = Running::start(&config(app, vec![cluster("app", &[&failing.address, &good.address])]));
        record(proxy.proxy());
        let client = Client::connect(&proxy.address).await;
        // Two, because one that was never asked is asked first.
        let mut retried = None;
        while retried.is_none() {
            let head = with(with(grpc(PATH), "traceparent", &traceparent("01")), "tracestate", "a=1");
            client.exchange(with(head, "baggage", "k=v"), "x").await.unwrap().ok();
            let found = spans(proxy.proxy(), 2).await;
            retried = (found.len() == 3).then_some(found);
        }
        let [server, first, second] = &retried.unwrap()[..] else { panic!("three spans") };
        assert_eq!((server.kind, first.kind, second.kind), (SERVER, CLIENT, CLIENT));
        assert_eq!((hex(&server.trace), hex(&server.parent)), (TRACE.to_owned(), CALLER.to_owned()));
        assert!(first.parent == server.id && second.parent == server.id && first.id != second.id);
        assert!(first.trace == server.trace && second.trace == server.trace);
        assert!(server.end >= second.end && second.start >= first.end);
        let (failed, answered) = (by_failing.all(), by_good.all());
        let (failed, answered) = (failed.last().unwrap(), answered.last().unwrap());
        assert_eq!(said(failed, "traceparent"), format!("{}-01", first.context()));
        assert_eq!(said(answered, "traceparent"), format!("{}-01", second.context()));
        assert_eq!((said(answered, "tracestate"), said(answered, "baggage")), ("a=1", "k=v"));

        assert_eq!(server.name, "inference.GRPCInferenceService/ModelInfer");
        assert_eq!(server.attribute("rpc.grpc.status_code"), "0");
        assert_eq!((server.attribute("rpc.method"), &server.status), ("ModelInfer".to_owned(), &None));
        let port = |upstream: &Upstream| upstream.address.rsplit_once(':').unwrap().1.to_owned();
        assert_eq!(
            (first.attribute("server.port"), second.attribute("server.port")),
            (port(&failing), port(&good))
        );
        assert_eq!(first.attribute("rpc.grpc.status_code"), "14");
        assert_eq!(first.status.as_ref().unwrap().message, "UNAVAILABLE");
        assert_eq!(second.attribute("http.request.resend_count"), "1");
        assert_eq!(second.status, None);
    });
}

#[test]
fn what_a_caller_does_not_record_passes_as_it_came() {
    run(async {
        let (app, seen) = upstream(0).await;
        let proxy = Running::start(&forward(&[&app.address]));
        record(proxy.proxy());
        let client = Client::connect(&proxy.address).await;
        client.exchange(with(grpc(PATH), "traceparent", &traceparent("00")), "x").await.unwrap().ok();
        client.call("x").await.ok();
        assert_eq!(said(&seen.all()[0], "traceparent"), traceparent("00"));
        // Only the second, which begins here.
        let found = spans(proxy.proxy(), 2).await;
        assert_eq!((found.len(), found[0].parent.is_empty()), (2, true));
        assert_eq!(said(&seen.all()[1], "traceparent"), format!("{}-01", found[1].context()));
    });
}

#[test]
fn b3_comes_in_and_goes_out() {
    run(async {
        let (app, seen) = upstream(0).await;
        let mut config = forward(&[&app.address]);
        config.tracing = Some(proto::Tracing { b3: true, ..Default::default() });
        let proxy = Running::start(&config);
        record(proxy.proxy());
        let client = Client::connect(&proxy.address).await;
        let head = with(with(grpc(PATH), "x-b3-traceid", TRACE), "x-b3-spanid", CALLER);
        client.exchange(with(head, "x-b3-sampled", "1"), "x").await.unwrap().ok();
        client.exchange(with(grpc(PATH), "b3", &format!("{TRACE}-{CALLER}-1")), "x").await.unwrap().ok();
        let found = spans(proxy.proxy(), 4).await;
        for (request, headers) in found.chunks(2).zip(seen.all()) {
            let [server, attempt] = request else { panic!("two spans for each") };
            assert_eq!((hex(&server.trace), hex(&server.parent)), (TRACE.to_owned(), CALLER.to_owned()));
            let id = hex(&attempt.id);
            assert_eq!(said(&headers, "traceparent"), format!("00-{TRACE}-{id}-01"));
            assert_eq!(said(&headers, "b3"), format!("{TRACE}-{id}-1"));
            assert_eq!((said(&headers, "x-b3-traceid"), said(&headers, "x-b3-spanid")), (TRACE, &id[..]));
            assert_eq!(said(&headers, "x-b3-sampled"), "1");
        }
    });
}

#[test]
fn a_request_that_is_given_up_is_nobodys_failure() {
    run(async {
        let app = Upstream::start(|mut exchange| async move {
            exchange.given_up().await;
        })
        .await;
        let proxy = Running::start(&forward(&[&app.address]));
        record(proxy.proxy());
        let client = Client::connect(&proxy.address).await;
        let (mut stream, _response) = client.begin(grpc(PATH)).await;
        stream.send_data("x".into(), true).unwrap();
        until("the upstream is asked", || app.requests() == 1).await;
        stream.send_reset(h2::Reason::CANCEL);
        let found = spans(proxy.proxy(), 2).await;
        let [server, attempt] = &found[..] else { panic!("two spans") };
        assert_eq!((&server.status, server.attribute("error.type")), (&None, "CANCELLED".to_owned()));
        assert_eq!((&attempt.status, attempt.attribute("error.type")), (&None, "given_up".to_owned()));
    });
}

#[test]
fn http_has_spans_of_its_own_words() {
    run(async {
        let (app, _) = upstream(0).await;
        let mut config = forward(&[&app.address]);
        config.clusters[0].protocol = proto::UpstreamProtocol::Http2 as i32;
        let proxy = Running::start(&config);
        record(proxy.proxy());
        let answer = send(&proxy.address, request("POST", "/orders/17?secret=1"), "x").await;
        assert_eq!(text(answer).await, "good");
        let found = spans(proxy.proxy(), 2).await;
        let [server, attempt] = &found[..] else { panic!("two spans") };
        assert_eq!((&server.name[..], &attempt.name[..]), ("POST to-app", "POST"));
        assert_eq!(server.attribute("http.response.status_code"), "200");
        assert_eq!(server.attribute("url.path"), "/orders/17");
        assert_eq!(attempt.attribute("http.request.method"), "POST");
    });
}

/// An app between two sidecars, or rather between the two sides of one: it asks a model for each request, and hands on
/// nothing but what `hand_on` does.
async fn app(
    hand_on: impl Fn(&HeaderMap, http::Request<()>) -> http::Request<()> + Clone + Send + Sync + 'static,
) -> (Upstream, Arc<OnceLock<String>>) {
    let outbound = Arc::<OnceLock<String>>::default();
    let address = outbound.clone();
    let script = move |mut exchange: Exchange| {
        let (hand_on, address) = (hand_on.clone(), address.clone());
        async move {
            let _ = exchange.receive().await;
            let model = Client::connect(address.get().unwrap()).await;
            let head = hand_on(&exchange.head.headers, grpc(PATH));
            let answer = model.exchange(head, "features").await.unwrap();
            let score = answer.ok().to_vec();
            exchange.answer(score).await;
        }
    };
    (Upstream::start(script).await, outbound)
}

/// Both sides of a sidecar.
fn sidecar(app: &Upstream, model: &Upstream, join: bool) -> Running {
    let mut config =
        config(route("app"), vec![cluster("app", &[&app.address]), cluster("model", &[&model.address])]);
    config.listeners[0].direction = proto::Direction::Inbound as i32;
    let mut outbound = config.listeners[0].clone();
    (outbound.name, outbound.routes) = ("out".into(), vec![route("model")]);
    outbound.direction = proto::Direction::Outbound as i32;
    config.listeners.push(outbound);
    config.tracing = Some(proto::Tracing { join, ..Default::default() });
    Running::start(&config)
}

#[test]
fn a_trace_goes_through_an_app_that_drops_its_headers() {
    run(async {
        let (model, seen) = upstream(0).await;
        let (app, outbound) = app(|_, head| head).await;
        let proxy = sidecar(&app, &model, true);
        outbound.set(proxy.addresses[1].clone()).unwrap();
        record(proxy.proxy());
        let client = Client::connect(&proxy.address).await;
        let answer = client.exchange(with(grpc(PATH), "traceparent", &traceparent("01")), "x").await.unwrap();
        assert_eq!(answer.text(), "good");
        let found = spans(proxy.proxy(), 3).await;
        let [server, to_app, to_model] = &found[..] else { panic!("three spans") };
        assert!(found.iter().all(|span| hex(&span.trace) == TRACE));
        assert!(to_app.parent == server.id && to_model.parent == server.id);
        assert_eq!(to_model.kind, CLIENT);
        assert_eq!(said(&seen.all()[0], "traceparent"), format!("{}-01", to_model.context()));
    });
}

#[test]
fn of_many_requests_the_id_says_which_is_answered() {
    run(async {
        let (model, seen) = upstream(0).await;
        let (app, outbound) =
            app(|headers, head| with(head, "x-request-id", said(headers, "x-request-id"))).await;
        let proxy = sidecar(&app, &model, true);
        outbound.set(proxy.addresses[1].clone()).unwrap();
        record(proxy.proxy());
        let client = Client::connect(&proxy.address).await;
        let trace = |number: u128| format!("{number:032x}");
        let calls = (1..=20).map(|number| {
            let context = format!("00-{}-{CALLER}-01", trace(number));
            // Half of them bring an id of their own.
            let head = with(grpc(PATH), "traceparent", &context);
            let head = match number % 2 {
                0 => with(head, "x-request-id", &format!("order-{number}")),
                _ => head,
            };
            client.exchange(head, "x")
        });
        for answer in futures_util::future::join_all(calls).await {
            answer.unwrap().ok();
        }
        let found = spans(proxy.proxy(), 60).await;
        for number in 1..=20 {
            let trace = trace(number);
            let own: Vec<_> = found.iter().filter(|span| hex(&span.trace) == trace).collect();
            assert_eq!(own.len(), 3, "{trace}");
        }
        let ids: Vec<_> = seen.all().iter().map(|it| said(it, "x-request-id").to_owned()).collect();
        assert!(ids.iter().all(|id| !id.is_empty()) && ids.contains(&"order-2".to_owned()));
    });
}

#[test]
fn nothing_is_joined_unless_that_is_wanted() {
    run(async {
        let (model, seen) = upstream(0).await;
        let (app, outbound) = app(|_, head| head).await;
        let proxy = sidecar(&app, &model, false);
        outbound.set(proxy.addresses[1].clone()).unwrap();
        record(proxy.proxy());
        let client = Client::connect(&proxy.address).await;
        client.exchange(with(grpc(PATH), "traceparent", &traceparent("01")), "x").await.unwrap().ok();
        let found = spans(proxy.proxy(), 3).await;
        let other = found.iter().find(|span| hex(&span.trace) != TRACE).unwrap();
        assert_eq!(said(&seen.all()[0], "traceparent"), format!("{}-01", other.context()));
    });
}
