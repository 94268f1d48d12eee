//! What is kept of requests and answers that pass a proxy.

// Helpers of tests may panic as tests do.
#![allow(clippy::unwrap_used)]

mod support;

use bytes::Bytes;
use http::{Method, Request};
use infermesh_proxy::{
    capture::proto::{Body, Record},
    proto::{self, Capture},
};
use infermesh_wire::proto::inference::{ModelInferRequest, ModelInferResponse};
use prost::Message;
use support::{INFER, Running, Upstream, all, call, grpc, http1, http2, route, run, trailers};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn body(content_type: &str, data: &[u8]) -> Option<Body> {
    let content_type = content_type.into();
    Some(Body { data: data.into(), size: data.len() as u64, content_type, ..Default::default() })
}

fn framed(message: &impl Message) -> Bytes {
    let message = message.encode_to_vec();
    [&[0][..], &(message.len() as u32).to_be_bytes(), &message].concat().into()
}

#[test]
fn a_call_is_kept_as_it_passed() {
    run(async {
        let upstream = Upstream::echo().await;
        let proxy = Running::start(&upstream.0, route(all()));
        let head = grpc(INFER)
            .header("x-request-id", "order-1")
            .header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"));
        let pieces = [Bytes::from_static(b"two "), Bytes::from_static(b"pieces")];
        let answered = call(&mut http2(&proxy.address).await, head.body(()).unwrap(), &pieces).await;
        assert_eq!(answered, ("two pieces".into(), "0".into()));
        let mut record = proxy.records(1).await.remove(0);
        assert!(record.latency_ns > 0 && record.time_unix_nano > 1_700_000_000_000_000_000);
        (record.latency_ns, record.time_unix_nano) = (0, 0);
        let expected = Record {
            route: "orders".into(),
            method: "POST".into(),
            path: INFER.into(),
            request_id: "order-1".into(),
            trace_id: TRACE.into(),
            http_status: 200,
            grpc_status: Some(0),
            request: body("application/grpc", b"two pieces"),
            response: body("application/grpc", b"two pieces"),
            ..Default::default()
        };
        assert_eq!(record, expected);
    });
}

#[test]
fn the_trace_of_b3_is_known_as_well() {
    run(async {
        let upstream = Upstream::echo().await;
        let proxy = Running::start(&upstream.0, route(all()));
        let head = grpc(INFER).header("b3", format!("{TRACE}-00f067aa0ba902b7-1")).body(()).unwrap();
        call(&mut http2(&proxy.address).await, head, &["x".into()]).await;
        assert_eq!(proxy.records(1).await[0].trace_id, TRACE);
    });
}

#[test]
fn an_upstream_over_http1_is_kept_too() {
    run(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let app = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let (socket, _) = listener.accept().await.unwrap();
            let service = hyper::service::service_fn(|request: Request<hyper::body::Incoming>| async {
                use http_body_util::BodyExt;
                let body = request.into_body().collect().await?.to_bytes();
                let said = http_body_util::Full::new(Bytes::from([&body[..], b"!"].concat()));
                let answer = http::Response::builder().status(201).header("content-type", "text/plain");
                Ok::<_, hyper::Error>(answer.body(said).unwrap())
            });
            let io = hyper_util::rt::TokioIo::new(socket);
            hyper::server::conn::http1::Builder::new().serve_connection(io, service).await.unwrap();
        });
        let proxy = Running::start(&app, route(all()));
        let request = Request::builder().method(Method::PUT).uri("/orders/7?dry=1");
        let request = request.header("content-type", "application/json").body("{}".into()).unwrap();
        assert_eq!(http1(&proxy.address, request).await, (http::StatusCode::CREATED, "{}!".into()));
        let record = proxy.records(1).await.remove(0);
        assert_eq!((&record.method[..], &record.path[..]), ("PUT", "/orders/7"));
        assert_eq!((record.http_status, record.grpc_status, &record.trace_id[..]), (201, None, ""));
        assert_eq!(record.request, body("application/json", b"{}"));
        assert_eq!(record.response, body("text/plain", b"{}!"));
    });
}

#[test]
fn what_becomes_grpc_is_kept_as_the_app_wrote_it() {
    run(async {
        let upstream = Upstream::start(|mut exchange| async move {
            let asked = ModelInferRequest::decode(&exchange.receive().await[5..]).unwrap();
            let answer = ModelInferResponse { model_name: asked.model_name, ..Default::default() };
            exchange.answer(&[framed(&answer)], "0");
        })
        .await;
        let action = Some(proto::route::Action::Transcode(proto::Transcode::default()));
        let proxy = Running::start(&upstream.0, proto::Route { action, ..route(all()) });
        let asked = br#"{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[1.5]}]}"#;
        let request = Request::post("/v2/models/fraud/versions/3/infer").body(asked[..].into()).unwrap();
        let (status, said) = http1(&proxy.address, request).await;
        assert_eq!(status, 200, "{said:?}");
        let record = proxy.records(1).await.remove(0);
        assert_eq!((&record.model[..], &record.version[..]), ("fraud", "3"));
        assert_eq!(record.request.unwrap().data, asked);
        let response = record.response.unwrap();
        assert_eq!((&response.content_type[..], response.data), ("application/json", said.to_vec()));
    });
}

#[test]
fn only_what_is_asked_for_is_kept() {
    run(async {
        let upstream = Upstream::echo().await;
        for capture in [None, Some(Capture::default())] {
            let proxy = Running::start(&upstream.0, route(capture));
            let mut client = http2(&proxy.address).await;
            for _ in 0..20 {
                call(&mut client, grpc(INFER).body(()).unwrap(), &["x".into()]).await;
            }
            assert_eq!(proxy.flushed(), 0);
        }
    });
}

#[test]
fn a_large_body_is_cut_in_the_copy_alone() {
    run(async {
        let upstream = Upstream::echo().await;
        let capture = Capture { max_body_bytes: 1000, ..all().unwrap() };
        let proxy = Running::start(&upstream.0, route(Some(capture)));
        let pieces: Vec<Bytes> = (0..10).map(|byte| vec![byte; 5000].into()).collect();
        let mut client = http2(&proxy.address).await;
        let (answered, _) = call(&mut client, grpc(INFER).body(()).unwrap(), &pieces).await;
        assert_eq!(answered, pieces.concat());
        let record = proxy.records(1).await.remove(0);
        for body in [record.request.unwrap(), record.response.unwrap()] {
            assert_eq!((body.data, body.size, body.truncated), (vec![0; 1000], 50_000, true));
        }
    });
}

#[test]
fn what_is_sent_twice_is_kept_once() {
    run(async {
        let upstream = Upstream::start(|mut exchange| async move {
            let body = exchange.receive().await;
            let status = if exchange.number == 0 { "14" } else { "0" };
            exchange.answer(if status == "0" { std::slice::from_ref(&body) } else { &[] }, status);
        })
        .await;
        let retry =
            proto::Retry { max_attempts: 3, backoff_base_ns: 1, backoff_max_ns: 1, ..Default::default() };
        let proxy = Running::start(&upstream.0, proto::Route { retry: Some(retry), ..route(all()) });
        let mut client = http2(&proxy.address).await;
        let answered = call(&mut client, grpc(INFER).body(()).unwrap(), &["again".into()]).await;
        assert_eq!(answered, ("again".into(), "0".into()));
        let record = proxy.records(1).await.remove(0);
        assert_eq!((record.grpc_status, record.request.unwrap().data), (Some(0), b"again".to_vec()));
        assert_eq!(record.response.unwrap().data, b"again");
    });
}

#[test]
fn a_failure_is_kept_with_what_the_caller_was_told() {
    run(async {
        let proxy = Running::start("127.0.0.1:1", route(all()));
        let mut client = http2(&proxy.address).await;
        let (_, status) = call(&mut client, grpc(INFER).body(()).unwrap(), &["x".into()]).await;
        assert_eq!(status, "14");
        let record = proxy.records(1).await.remove(0);
        assert_eq!((record.http_status, record.grpc_status), (200, Some(14)));
        assert_eq!(record.response.unwrap().size, 0);
    });
}

#[test]
fn a_request_that_is_given_up_has_no_answer() {
    run(async {
        let upstream = Upstream::start(|mut exchange| async move {
            exchange.receive().await;
            std::future::pending().await
        })
        .await;
        let proxy = Running::start(&upstream.0, route(all()));
        let mut client = http2(&proxy.address).await;
        let (response, mut stream) = client.send_request(grpc(INFER).body(()).unwrap(), false).unwrap();
        stream.send_data("asked".into(), true).unwrap();
        while proxy.metric("infermesh_proxy_requests_in_flight{listener=\"in\",route=\"orders\"}").await
            != Some(1.0)
        {}
        stream.send_reset(h2::Reason::CANCEL);
        drop(response);
        let record = proxy.records(1).await.remove(0);
        assert_eq!((record.http_status, record.grpc_status), (0, None));
        assert_eq!(record.response.unwrap().size, 0);
    });
}

#[test]
fn a_stream_is_kept_in_both_directions() {
    run(async {
        let upstream = Upstream::start(|mut exchange| async move {
            let mut said = exchange.begin();
            while let Some(Ok(data)) = exchange.body.data().await {
                exchange.body.flow_control().release_capacity(data.len()).unwrap();
                said.send_data(data, false).unwrap();
            }
            said.send_trailers(trailers("0")).unwrap();
        })
        .await;
        let proxy = Running::start(&upstream.0, route(all()));
        let mut client = http2(&proxy.address).await;
        let (response, mut stream) =
            client.send_request(grpc("/chat.Chat/Talk").body(()).unwrap(), false).unwrap();
        let mut body = response.await.unwrap().into_body();
        for word in ["one", "two", "three"] {
            stream.send_data(word.into(), false).unwrap();
            let heard = body.data().await.unwrap().unwrap();
            body.flow_control().release_capacity(heard.len()).unwrap();
            assert_eq!(heard, word);
        }
        stream.send_data(Bytes::new(), true).unwrap();
        assert_eq!(support::receive(&mut body).await.1.unwrap()["grpc-status"], "0");
        let record = proxy.records(1).await.remove(0);
        assert_eq!(record.request.unwrap().data, b"onetwothree");
        assert_eq!(record.response.unwrap().data, b"onetwothree");
    });
}

#[test]
fn what_does_not_fit_is_dropped_and_counted() {
    run(async {
        let upstream = Upstream::echo().await;
        let capture = Capture { queue_bytes: 4000, ..all().unwrap() };
        let proxy = Running::start(&upstream.0, route(Some(capture)));
        let mut client = http2(&proxy.address).await;
        for _ in 0..3 {
            call(&mut client, grpc(INFER).body(()).unwrap(), &[vec![0; 1000].into()]).await;
        }
        let labels = "{listener=\"in\",route=\"orders\"}";
        let dropped = format!("infermesh_proxy_captures_dropped_total{labels}");
        while proxy.metric(&dropped).await != Some(2.0) {}
        assert_eq!(proxy.metric(&format!("infermesh_proxy_captures_total{labels}")).await, Some(1.0));
        assert_eq!(proxy.flushed(), 1);
    });
}

#[test]
fn a_rate_that_is_none_is_refused_by_its_name() {
    let config = proto::ProxyConfig {
        listeners: vec![proto::Listener {
            address: "127.0.0.1:0".into(),
            routes: vec![route(Some(Capture { sample_rate: 2.0, ..Default::default() }))],
            ..Default::default()
        }],
        clusters: vec![proto::Cluster {
            name: "app".into(),
            discovery: Some(proto::cluster::Discovery::Static(proto::Static {
                endpoints: vec!["127.0.0.1:1".into()],
            })),
            ..Default::default()
        }],
        ..Default::default()
    };
    let Err(error) = infermesh_proxy::Proxy::start(&config.encode_to_vec(), "0") else { panic!("accepted") };
    let expected = "listeners[0].routes[0].capture.sample_rate: found 2, expected a share between 0 and 1";
    assert_eq!(error.message, expected);
}
