//! Requests in the log.

use crate::{
    admin::{request, send, text},
    h2_client::{Client, PATH, grpc, with},
    h2_upstream::Upstream,
    running::{Running, forward, run},
};
use infermesh_proxy::{Proxy, proto};
use infermesh_telemetry::{
    Value,
    log::{Level, Record},
};
use std::time::Duration;
use tokio::time::sleep;

/// The next record about a request.
async fn record(proxy: &Proxy) -> Record {
    loop {
        let found = proxy.log().take(Duration::ZERO).into_iter().find(|it| it.action.starts_with("request"));
        if let Some(record) = found {
            return record;
        }
        sleep(Duration::from_millis(2)).await;
    }
}

fn field(record: &Record, wanted: &str) -> Option<Value> {
    record.fields.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.clone())
}

#[test]
fn a_record_has_all_that_there_is_to_say() {
    run(async {
        let upstream = Upstream::echo().await;
        let proxy = Running::start(&forward(&[&upstream.address]));
        proxy.proxy().log().set_accesses(true);
        let client = Client::connect(&proxy.address).await;
        let context = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        client.exchange(with(grpc(PATH), "traceparent", context), "12345").await.unwrap().ok();
        let record = record(proxy.proxy()).await;
        assert_eq!((record.level, record.action), (Level::Info, "request"));
        assert!(record.message.starts_with(PATH) && record.message.ends_with(" OK"), "{}", record.message);
        for (name, expected) in [
            ("rpc.system", "grpc"),
            ("rpc.service", "inference.GRPCInferenceService"),
            ("rpc.method", "ModelInfer"),
            ("url.path", PATH),
            ("infermesh.listener", "in"),
            ("infermesh.route", "to-app"),
            ("infermesh.cluster", "app"),
            ("server.address", &upstream.address),
            ("event.outcome", "success"),
            ("trace.id", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ] {
            assert_eq!(field(&record, name), Some(expected.into()), "{name}");
        }
        for (name, expected) in [
            ("rpc.grpc.status_code", 0u64),
            ("infermesh.attempts", 1),
            ("http.request.body.bytes", 5),
            ("http.response.body.bytes", 5),
        ] {
            assert_eq!(field(&record, name), Some(expected.into()), "{name}");
        }
        let Some(Value::Text(peer)) = field(&record, "client.address") else { panic!("an address") };
        assert!(peer.starts_with("127.0.0.1:"), "{peer}");
        assert!(matches!(field(&record, "event.duration"), Some(Value::Unsigned(1..))));
        assert_eq!(field(&record, "infermesh.error.source"), None);
    });
}

#[test]
fn an_upstreams_failure_is_told_in_its_words() {
    run(async {
        let upstream = Upstream::start(|mut exchange| async move {
            let _ = exchange.receive().await;
            let head = http::Response::builder()
                .header("content-type", "application/grpc")
                .header("grpc-status", "13")
                .header("grpc-message", "out%20of%20memory");
            exchange.respond.send_response(head.body(()).unwrap(), true).unwrap();
        })
        .await;
        let proxy = Running::start(&forward(&[&upstream.address]));
        proxy.proxy().log().set_accesses(true);
        Client::connect(&proxy.address).await.call("x").await;
        let record = record(proxy.proxy()).await;
        assert_eq!(field(&record, "error.type"), Some("INTERNAL".into()));
        assert_eq!(field(&record, "error.message"), Some("out of memory".into()));
        assert_eq!(field(&record, "infermesh.error.source"), Some("upstream".into()));
    });
}

#[test]
fn a_failure_of_ours_is_told_also_where_requests_are_not() {
    run(async {
        let proxy = Running::start(&forward(&["127.0.0.1:1"]));
        let client = Client::connect(&proxy.address).await;
        assert_eq!(client.call("x").await.code(), 14);
        let record = record(proxy.proxy()).await;
        assert_eq!((record.level, record.action), (Level::Warning, "request-failed"));
        assert_eq!(field(&record, "infermesh.error.source"), Some("upstream".into()));
        let Some(Value::Text(why)) = field(&record, "error.message") else { panic!("a reason") };
        assert!(why.contains("cannot connect to 127.0.0.1:1"), "{why}");
    });
}

#[test]
fn what_a_caller_does_wrong_is_his_own_affair() {
    run(async {
        let mut config = forward(&["127.0.0.1:1"]);
        config.listeners[0].routes[0].r#match =
            Some(proto::Match { prefix: "/known".into(), ..Default::default() });
        let proxy = Running::start(&config);
        text(send(&proxy.address, request("GET", "/unknown"), "").await).await;
        proxy.proxy().log().set_accesses(true);
        text(send(&proxy.address, request("GET", "/other?token=1"), "").await).await;
        // The first has left nothing.
        let record = record(proxy.proxy()).await;
        assert_eq!((record.level, field(&record, "url.path")), (Level::Info, Some("/other".into())));
        assert_eq!(field(&record, "http.response.status_code"), Some(404u64.into()));
        assert_eq!(field(&record, "infermesh.error.source"), Some("caller".into()));
        assert_eq!(field(&record, "infermesh.route"), None);
    });
}
