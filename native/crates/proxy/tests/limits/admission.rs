//! A part is refused while many fail.

use crate::{
    h2_client::Client,
    h2_upstream::Upstream,
    running::{Running, run},
    support::limited,
};
use infermesh_proxy::proto;

fn admission() -> Option<proto::Admission> {
    Some(proto::Admission { min_requests: 20, ..Default::default() })
}

#[test]
fn an_upstream_that_fails_is_spared_and_callers_are_told_why() {
    run(async {
        let upstream = Upstream::failing(14).await;
        let proxy = Running::start(&limited(&upstream, |route| route.admission = admission()));
        let client = Client::connect(&proxy.address).await;
        let mut refused = 0;
        for index in 0..300 {
            let answer = client.call("x").await;
            assert_eq!(answer.code(), 14);
            if answer.message().contains("of its requests, while many of the others fail") {
                assert!(index >= 20, "{index}");
                refused += 1;
            }
        }
        // Four in five of those after the first twenty.
        assert!((190..=258).contains(&refused), "{refused}");
        assert_eq!(upstream.requests(), 300 - refused);
    });
}

#[test]
fn who_does_something_wrong_is_no_failure() {
    run(async {
        let upstream = Upstream::failing(3).await;
        let proxy = Running::start(&limited(&upstream, |route| route.admission = admission()));
        let client = Client::connect(&proxy.address).await;
        for _ in 0..100 {
            assert_eq!(client.call("x").await.code(), 3);
        }
        assert_eq!(upstream.requests(), 100);
    });
}
