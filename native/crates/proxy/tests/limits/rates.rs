//! Who asks too often.

use crate::{
    h1::Wire,
    h2_client::{Client, PATH, grpc, with},
    h2_upstream::Upstream,
    running::{Running, run},
    support::limited,
};
use infermesh_proxy::proto;

/// So slow that none comes back within a test.
fn two(key: proto::RateKey, header: &str) -> proto::RateLimit {
    proto::RateLimit { rate: 0.01, burst: 2, key: key.into(), header: header.into() }
}

#[test]
fn what_is_too_often_is_refused_with_the_time_to_come_again() {
    run(async {
        let upstream = Upstream::echo().await;
        let rate = two(proto::RateKey::Unspecified, "");
        let proxy = Running::start(&limited(&upstream, |route| route.rate_limit = Some(rate)));
        let client = Client::connect(&proxy.address).await;
        for _ in 0..2 {
            client.call("x").await.ok();
        }
        let answer = client.call("x").await;
        assert_eq!((answer.http_status(), answer.code(), answer.trailers.is_none()), (200, 8, true));
        let said = answer.message();
        assert!(
            said.contains("route 'to-app' takes 0.01 requests per second, and the next one in"),
            "{said}"
        );
        let pushback: u64 = answer.head.headers["grpc-retry-pushback-ms"].to_str().unwrap().parse().unwrap();
        assert!((80_000..=100_000).contains(&pushback), "{pushback}");
        assert_eq!(upstream.requests(), 2);
    });
}

#[test]
fn http_says_it_with_429_and_seconds() {
    run(async {
        let upstream = Upstream::echo().await;
        let rate = proto::RateLimit { burst: 1, ..two(proto::RateKey::Caller, "") };
        let mut config = limited(&upstream, |route| route.rate_limit = Some(rate));
        config.clusters[0].protocol = proto::UpstreamProtocol::Http2 as i32;
        let proxy = Running::start(&config);
        // A caller's connections are his together.
        for expected in ["HTTP/1.1 200 OK", "HTTP/1.1 429 Too Many Requests"] {
            let mut wire = Wire::connect(&proxy.address).await;
            wire.write("GET /orders HTTP/1.1\r\nhost: shop.local\r\n\r\n").await;
            let answer = wire.read().await.unwrap();
            assert_eq!(answer.first, expected);
            if let Some(seconds) = answer.header("retry-after") {
                assert!((80..=100).contains(&seconds.parse().unwrap()), "{seconds}");
                assert!(answer.text().contains("from each caller"), "{}", answer.text());
            } else {
                assert_eq!(expected, "HTTP/1.1 200 OK");
            }
        }
    });
}

#[test]
fn each_value_of_a_header_has_a_rate_of_its_own() {
    run(async {
        let upstream = Upstream::echo().await;
        let rate = two(proto::RateKey::Header, "x-tenant");
        let proxy = Running::start(&limited(&upstream, |route| route.rate_limit = Some(rate)));
        let client = Client::connect(&proxy.address).await;
        let mut codes = Vec::new();
        for tenant in ["a", "a", "a", "b", "b", "b"] {
            let answer = client.exchange(with(grpc(PATH), "x-tenant", tenant), "x").await.unwrap();
            codes.push(answer.code());
        }
        assert_eq!(codes, [0, 0, 8, 0, 0, 8]);
    });
}
