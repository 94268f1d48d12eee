//! One request, one answer.

use crate::{
    h2_client::{Client, PATH, grpc, with},
    h2_upstream::{Seen, Upstream, grpc_head, send, status},
    running::{Running, forward, run},
};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};

#[test]
fn a_call_passes_whole_and_its_answer_comes_back_whole() {
    run(async {
        let seen = Seen::default();
        let noted = seen.clone();
        let upstream = Upstream::start(move |mut exchange| {
            let seen = noted.clone();
            async move {
                let (body, _) = exchange.receive().await.unwrap();
                seen.push((exchange.head.clone(), body));
                let mut head = grpc_head();
                head.headers_mut().insert("x-model", "fraud".parse().unwrap());
                let mut stream = exchange.respond.send_response(head, false).unwrap();
                send(&mut stream, Bytes::from_static(b"score")).await;
                let mut trailers = status(0);
                trailers.append("x-cost-bin", "AAEC".parse().unwrap());
                trailers.append("x-cost-bin", "AwQF".parse().unwrap());
                stream.send_trailers(trailers).unwrap();
            }
        })
        .await;
        let proxy = Running::start(&forward(&[&upstream.address]));
        let client = Client::connect(&proxy.address).await;
        let head = with(with(grpc(PATH), "x-id-bin", "AAE"), "x-id-bin", "AgM");
        let answer = client.exchange(head, &b"amount"[..]).await.unwrap();

        assert_eq!(answer.text(), "score");
        assert_eq!(answer.head.headers["x-model"], "fraud");
        let trailers = answer.trailers.unwrap();
        let costs: Vec<_> = trailers.get_all("x-cost-bin").iter().collect();
        assert_eq!(costs, ["AAEC", "AwQF"]);

        let (head, body) = &seen.all()[0];
        assert_eq!((head.method.as_str(), head.uri.path(), &body[..]), ("POST", PATH, &b"amount"[..]));
        assert_eq!(head.uri.authority().unwrap(), "shop.local");
        assert_eq!(head.headers["te"], "trailers");
        let ids: Vec<_> = head.headers.get_all("x-id-bin").iter().collect();
        assert_eq!(ids, ["AAE", "AgM"]);
    });
}

#[test]
fn a_status_in_the_headers_alone_stays_there() {
    run(async {
        let upstream = Upstream::failing(5).await;
        let proxy = Running::start(&forward(&[&upstream.address]));
        let client = Client::connect(&proxy.address).await;
        let answer = client.call("x").await;
        assert_eq!((answer.code(), answer.trailers.is_none(), answer.body.len()), (5, true, 0));
    });
}

#[test]
fn a_status_in_the_trailers_stays_there() {
    run(async {
        let upstream = Upstream::start(|mut exchange| async move {
            let mut stream = exchange.respond.send_response(grpc_head(), false).unwrap();
            stream.send_trailers(status(9)).unwrap();
        })
        .await;
        let proxy = Running::start(&forward(&[&upstream.address]));
        let client = Client::connect(&proxy.address).await;
        let answer = client.call("x").await;
        assert_eq!(answer.code(), 9);
        assert_eq!(answer.trailers, Some(status(9)));
    });
}

#[test]
fn trailers_of_a_request_pass() {
    run(async {
        let upstream = Upstream::start(|mut exchange| async move {
            let (_, trailers) = exchange.receive().await.unwrap();
            let digest = trailers.unwrap()["x-digest"].to_str().unwrap().to_owned();
            exchange.answer(digest).await;
        })
        .await;
        let proxy = Running::start(&forward(&[&upstream.address]));
        let client = Client::connect(&proxy.address).await;
        let (mut stream, response) = client.begin(grpc(PATH)).await;
        send(&mut stream, Bytes::from_static(b"body")).await;
        stream
            .send_trailers(HeaderMap::from_iter([("x-digest".parse().unwrap(), "7f".parse().unwrap())]))
            .unwrap();
        assert_eq!(crate::h2_client::answer(response).await.unwrap().text(), "7f");
    });
}

#[test]
fn large_bodies_pass_both_ways() {
    run(async {
        let upstream = Upstream::echo().await;
        let proxy = Running::start(&forward(&[&upstream.address]));
        let client = Client::connect(&proxy.address).await;
        let sent: Bytes =
            (0..64 << 20).map(|index: u32| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let answer = client.call(sent.clone()).await;
        assert!(
            answer.ok() == sent,
            "{} bytes of {} came back, or other ones",
            answer.body.len(),
            sent.len()
        );
    });
}

#[test]
fn what_is_no_grpc_passes_as_it_is() {
    run(async {
        let upstream = Upstream::start(|mut exchange| async move {
            let said = Response::builder().status(404).header("content-type", "text/plain").body(()).unwrap();
            let mut stream = exchange.respond.send_response(said, false).unwrap();
            send(&mut stream, Bytes::from_static(b"no such order")).await;
            stream.send_data(Bytes::new(), true).unwrap();
        })
        .await;
        let mut config = forward(&[&upstream.address]);
        config.clusters[0].protocol = infermesh_proxy::proto::UpstreamProtocol::Http2 as i32;
        let proxy = Running::start(&config);
        let client = Client::connect(&proxy.address).await;
        let head = Request::get("http://shop.local/orders/7?full=1").body(()).unwrap();
        let answer = client.exchange(head, Bytes::new()).await.unwrap();
        assert_eq!((answer.http_status(), &answer.body[..]), (404, &b"no such order"[..]));
        assert!(answer.trailers.is_none());
    });
}

#[test]
fn what_no_route_takes_is_said_in_the_callers_own_protocol() {
    run(async {
        let upstream = Upstream::echo().await;
        let mut config = forward(&[&upstream.address]);
        config.listeners[0].routes[0].r#match =
            Some(infermesh_proxy::proto::Match { prefix: "/known".into(), ..Default::default() });
        let proxy = Running::start(&config);
        let client = Client::connect(&proxy.address).await;
        let answer = client.call("x").await;
        assert_eq!((answer.code(), answer.trailers.is_none()), (12, true));
        assert!(answer.message().contains("no route of listener 'in' matches POST"), "{}", answer.message());
        let head = Request::get("http://shop.local/orders").body(()).unwrap();
        let answer = client.exchange(head, Bytes::new()).await.unwrap();
        assert_eq!(answer.http_status(), 404);
        assert!(
            String::from_utf8_lossy(&answer.body).contains("no route of listener 'in' matches GET /orders")
        );
    });
}

/// What a client was still sending when it was refused is not held against it.
#[test]
fn a_connection_bears_any_number_of_early_answers() {
    run(async {
        let mut config = forward(&["127.0.0.1:1"]);
        config.listeners[0].routes[0].r#match =
            Some(infermesh_proxy::proto::Match { path: "/known".into(), ..Default::default() });
        config.clusters[0].breaker = Some(Default::default());
        let proxy = Running::start(&config);
        let client = Client::connect(&proxy.address).await;
        for (path, code) in [("/unknown", 12), ("/known", 14)] {
            for _ in 0..1_500 {
                let answer = client.exchange(grpc(path), "x").await.unwrap();
                assert_eq!(answer.code(), code);
            }
        }
    });
}

#[test]
fn nobody_listening_is_said_at_once_and_says_where() {
    run(async {
        let gone = Upstream::echo().await.stop().await;
        let proxy = Running::start(&forward(&[&gone]));
        let client = Client::connect(&proxy.address).await;
        let answer = client.call("x").await;
        assert_eq!(answer.code(), 14);
        assert!(answer.message().contains(&format!("cannot connect to {gone}")), "{}", answer.message());
    });
}
