//! Every request is counted, once and where it belongs.

use crate::{
    admin::{admin, get, json, request, send, text},
    exposition::Exposition,
    h2_client::{Client, PATH, grpc},
    h2_upstream::{Upstream, until},
    running::{Running, cluster, config, forward, refused, route, run},
};
use infermesh_proxy::proto;
use std::time::{Duration, Instant};
use tokio::time::sleep;

const PATIENCE: Duration = Duration::from_secs(20);

/// Asks the cluster `app` for a score, of a header into a header.
pub fn enrichment() -> proto::Enrichment {
    proto::Enrichment {
        cluster: "app".into(),
        model: "fraud".into(),
        inputs: vec![proto::InputField {
            name: "amount".into(),
            source: "header.amount".into(),
            datatype: "FP32".into(),
            default_json: "1".into(),
        }],
        outputs: vec![proto::OutputField { name: "score".into(), target: "header.x-score".into(), index: 0 }],
        ..Default::default()
    }
}

const ROUTE: &str = "listener=\"in\",route=\"to-app\"";

async fn metrics(address: &str) -> Exposition {
    Exposition::parse(&get(address, "/metrics").await)
}

/// What there is when a request was counted: an answer is there before it is.
pub async fn when(address: &str, series: &str, value: f64) -> Exposition {
    let begun = Instant::now();
    loop {
        let found = metrics(address).await;
        if found.has(series) && found.value(series) == value {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{series} is not {value} in {found:#?}");
        sleep(Duration::from_millis(2)).await;
    }
}

#[test]
fn a_request_is_counted_at_its_route_and_at_its_endpoint() {
    run(async {
        let upstream = Upstream::echo().await;
        let mut config = forward(&[&upstream.address]);
        config.clusters[0].breaker = Some(proto::Breaker::default());
        let proxy = Running::start(&config);
        let admin = admin(proxy.proxy());
        let client = Client::connect(&proxy.address).await;
        for _ in 0..3 {
            client.call("12345").await.ok();
        }
        let ok = format!("infermesh_proxy_requests_total{{{ROUTE},protocol=\"grpc\",code=\"OK\"}}");
        let found = when(&admin, &ok, 3.0).await;
        let of_route = |name: &str| found.value(&format!("infermesh_proxy_{name}{{{ROUTE}}}"));
        assert_eq!(of_route("request_bytes_total"), 15.0);
        assert_eq!(of_route("response_bytes_total"), 15.0);
        assert_eq!(of_route("request_duration_seconds_count"), 3.0);
        assert!(of_route("request_duration_seconds_sum") > 0.0);
        assert_eq!(of_route("requests_in_flight"), 0.0);
        let labels = format!("cluster=\"app\",endpoint=\"{}\"", upstream.address);
        let of_endpoint =
            |name: &str, more: &str| found.value(&format!("infermesh_proxy_{name}{{{labels}{more}}}"));
        assert_eq!(of_endpoint("attempts_total", ",outcome=\"success\""), 3.0);
        assert_eq!(of_endpoint("attempt_duration_seconds_count", ""), 3.0);
        assert_eq!(of_endpoint("attempts_in_flight", ""), 0.0);
        assert_eq!(of_endpoint("breaker_state", ",state=\"closed\""), 1.0);
        assert_eq!(of_endpoint("endpoint_available", ""), 1.0);
        assert_eq!(of_endpoint("upstream_connections", ""), 1.0);
        assert_eq!(of_endpoint("upstream_connections_opened_total", ""), 1.0);
        assert_eq!(found.value("infermesh_proxy_connections"), 1.0);
        assert!(found.value("process_resident_memory_bytes") > 0.0);
    });
}

#[test]
fn what_is_under_way_shows_and_what_is_given_up_is_counted_so() {
    run(async {
        let upstream = Upstream::start(|mut exchange| async move {
            exchange.given_up().await;
        })
        .await;
        let proxy = Running::start(&forward(&[&upstream.address]));
        let admin = admin(proxy.proxy());
        let client = Client::connect(&proxy.address).await;
        let (mut stream, _response) = client.begin(grpc(PATH)).await;
        stream.send_data("x".into(), true).unwrap();
        until("the upstream is asked", || upstream.requests() == 1).await;
        let found = metrics(&admin).await;
        assert_eq!(found.value(&format!("infermesh_proxy_requests_in_flight{{{ROUTE}}}")), 1.0);
        stream.send_reset(h2::Reason::CANCEL);
        let left = format!("infermesh_proxy_requests_total{{{ROUTE},protocol=\"grpc\",code=\"CANCELLED\"}}");
        let found = when(&admin, &left, 1.0).await;
        assert_eq!(found.value(&format!("infermesh_proxy_requests_in_flight{{{ROUTE}}}")), 0.0);
        let given_up = format!(
            "infermesh_proxy_attempts_total{{cluster=\"app\",endpoint=\"{}\",outcome=\"given_up\"}}",
            upstream.address
        );
        assert_eq!(found.value(&given_up), 1.0);
    });
}

#[test]
fn retries_are_told_from_requests_and_a_refused_one_has_its_reason() {
    run(async {
        let (failing, good) = (Upstream::failing(14).await, Upstream::named("good").await);
        let mut app = route("app");
        app.retry = Some(proto::Retry { max_attempts: 2, ..Default::default() });
        let all = |upstream: &Upstream| config(app.clone(), vec![cluster("app", &[&upstream.address])]);
        let mut two = all(&failing);
        two.clusters = vec![cluster("app", &[&failing.address, &good.address])];
        let proxy = Running::start(&two);
        let address = admin(proxy.proxy());
        let client = Client::connect(&proxy.address).await;
        // An endpoint that was never asked is asked first, so both are.
        for _ in 0..2 {
            client.call("x").await.ok();
        }
        let found = when(&address, &format!("infermesh_proxy_retries_total{{{ROUTE}}}"), 1.0).await;
        let ok = format!("infermesh_proxy_requests_total{{{ROUTE},protocol=\"grpc\",code=\"OK\"}}");
        assert_eq!(found.value(&ok), 2.0);

        let proxy = Running::start(&all(&failing));
        let address = admin(proxy.proxy());
        let client = Client::connect(&proxy.address).await;
        assert_eq!(client.call("x").await.code(), 14);
        let refused = format!("infermesh_proxy_retries_refused_total{{{ROUTE},reason=\"attempts\"}}");
        let found = when(&address, &refused, 1.0).await;
        assert_eq!(found.value(&format!("infermesh_proxy_retries_total{{{ROUTE}}}")), 1.0);
        let failed =
            format!("infermesh_proxy_requests_total{{{ROUTE},protocol=\"grpc\",code=\"UNAVAILABLE\"}}");
        assert_eq!(found.value(&failed), 1.0);
    });
}

#[test]
fn what_comes_to_no_route_is_counted_at_its_listener() {
    run(async {
        let mut config = forward(&["127.0.0.1:1"]);
        config.listeners[0].routes[0].r#match =
            Some(proto::Match { prefix: "/known".into(), ..Default::default() });
        let proxy = Running::start(&config);
        let admin = admin(proxy.proxy());
        let answer = send(&proxy.address, request("GET", "/unknown"), "").await;
        assert_eq!(answer.status(), 404);
        text(answer).await;
        let series =
            "infermesh_proxy_requests_total{listener=\"in\",route=\"\",protocol=\"http\",code=\"4xx\"}";
        when(&admin, series, 1.0).await;
    });
}

#[test]
fn what_metrics_tell_apart_has_names_that_differ() {
    let mut twice = forward(&["127.0.0.1:1"]);
    let route = twice.listeners[0].routes[0].clone();
    twice.listeners[0].routes.push(route);
    let said = refused(&twice);
    assert!(said.contains("listeners[0].routes[1].name: there are two routes called 'to-app'"), "{said}");
    twice.listeners[0].routes.truncate(1);
    let listener = twice.listeners[0].clone();
    twice.listeners.push(listener);
    let said = refused(&twice);
    assert!(said.contains("listeners[1].name: there are two listeners called 'in'"), "{said}");
}

#[test]
fn an_http_answer_that_is_whole_is_no_request_that_was_given_up() {
    run(async {
        let upstream = Upstream::start(|mut exchange| async move {
            let _ = exchange.receive().await;
            let head = http::Response::builder().header("content-length", 5).body(()).unwrap();
            let mut stream = exchange.respond.send_response(head, false).unwrap();
            stream.send_data("12345".into(), true).unwrap();
        })
        .await;
        let mut config = forward(&[&upstream.address]);
        config.clusters[0].protocol = proto::UpstreamProtocol::Http2 as i32;
        let proxy = Running::start(&config);
        let admin = admin(proxy.proxy());
        let answer = send(&proxy.address, request("POST", "/orders"), "123").await;
        assert_eq!(text(answer).await, "12345");
        let series = format!("infermesh_proxy_requests_total{{{ROUTE},protocol=\"http\",code=\"2xx\"}}");
        let found = when(&admin, &series, 1.0).await;
        assert_eq!(found.value(&format!("infermesh_proxy_response_bytes_total{{{ROUTE}}}")), 5.0);
        let attempts = format!(
            "infermesh_proxy_attempts_total{{cluster=\"app\",endpoint=\"{}\",outcome=\"success\"}}",
            upstream.address
        );
        assert_eq!(found.value(&attempts), 1.0);
    });
}

#[test]
fn policies_tell_how_they_stand() {
    run(async {
        let upstream = Upstream::echo().await;
        let mut config = forward(&[&upstream.address]);
        let route = &mut config.listeners[0].routes[0];
        route.rate_limit = Some(proto::RateLimit { rate: 0.001, burst: 1, ..Default::default() });
        route.concurrency = Some(proto::Concurrency { limit: 7, ..Default::default() });
        route.enrichments = vec![proto::Enrichment { name: "score".into(), ..enrichment() }];
        let proxy = Running::start(&config);
        let admin = admin(proxy.proxy());
        let client = Client::connect(&proxy.address).await;
        // An echo is no model: it passes without a score.
        client.call("x").await.ok();
        assert_eq!(client.call("x").await.code(), 8);
        let refused = format!("infermesh_proxy_requests_not_admitted_total{{{ROUTE},reason=\"rate\"}}");
        let found = when(&admin, &refused, 1.0).await;
        assert_eq!(found.value(&format!("infermesh_proxy_concurrency_limit{{{ROUTE}}}")), 7.0);
        assert_eq!(found.value(&format!("infermesh_proxy_concurrency_waiting{{{ROUTE}}}")), 0.0);
        let asked = format!("infermesh_proxy_enrichment_duration_seconds_count{{{ROUTE},rule=\"score\"}}");
        assert_eq!(found.value(&asked), 1.0);
        // Bytes of clients are counted once, whoever reads them; answers to the model's question are none.
        assert_eq!(found.value(&format!("infermesh_proxy_request_bytes_total{{{ROUTE}}}")), 1.0);

        let stats = json(&admin, "/stats").await;
        let policies = &stats["routes"][0]["policies"];
        assert_eq!((&policies["refused"]["rate"], &policies["concurrency"]["limit"]), (&1.into(), &7.into()));
        let rule = &policies["enrichments"][0];
        assert_eq!(
            (&rule["rule"], &rule["asked"], &rule["failures"]),
            (&"score".into(), &1.into(), &1.into())
        );
    });
}

#[test]
fn every_number_is_explained_to_those_who_read() {
    let guide = include_str!("../../../../../docs/guides/observe-a-sidecar.md");
    run(async {
        let proxy = Running::start(&forward(&["127.0.0.1:1"]));
        let text = get(&admin(proxy.proxy()), "/metrics").await;
        let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
        let own: Vec<_> = families.filter(|name| !name.starts_with("process_")).collect();
        let untold: Vec<_> = own.iter().filter(|name| !guide.contains(&format!("`{name}`"))).collect();
        assert!(own.len() > 25 && untold.is_empty(), "{untold:?}");
    });
}
