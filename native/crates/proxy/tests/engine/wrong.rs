//! What is wrong with a configuration is said with its place.

use crate::running::{cluster, config, forward, refused, route};
use infermesh_proxy::proto;

#[track_caller]
fn says(config: &proto::ProxyConfig, expected: &str) {
    let said = refused(config);
    assert!(said.contains(expected), "'{said}' does not say '{expected}'");
}

#[test]
fn a_route_names_a_cluster_that_is_there() {
    let given = config(route("other"), vec![cluster("app", &["localhost:80"])]);
    says(&given, "listeners[0].routes[0].cluster: there is no cluster called 'other'; there are: app");
}

#[test]
fn names_of_clusters_are_there_and_differ() {
    let given = config(route("app"), vec![cluster("app", &[]), cluster("app", &[])]);
    says(&given, "clusters[1].name: there are two clusters called 'app'");
    says(&config(route("app"), vec![cluster("", &[])]), "clusters[0].name: it is empty");
}

#[test]
fn an_endpoint_is_an_address() {
    says(&forward(&["app"]), "clusters[0].static.endpoints[0]: 'app' is no address: it has no port");
    says(&forward(&["a:1", "unix:"]), "clusters[0].static.endpoints[1]: 'unix:' is no address");
}

#[test]
fn a_cluster_says_where_its_endpoints_come_from() {
    let nowhere = proto::Cluster { name: "app".into(), ..Default::default() };
    says(
        &config(route("app"), vec![nowhere]),
        "clusters[0].discovery: it is missing; expected 'static' or 'dns'",
    );
}

#[test]
fn policies_are_checked() {
    let with_route = |change: fn(&mut proto::Route)| {
        let mut given = forward(&["localhost:80"]);
        change(&mut given.listeners[0].routes[0]);
        given
    };
    let with_cluster = |change: fn(&mut proto::Cluster)| {
        let mut given = forward(&["localhost:80"]);
        change(&mut given.clusters[0]);
        given
    };
    says(
        &with_route(|route| route.retry = Some(proto::Retry { max_attempts: 9, ..Default::default() })),
        "listeners[0].routes[0].retry.max_attempts is 9: expected 1 to 5",
    );
    says(
        &with_route(|route| route.retry = Some(proto::Retry { codes: vec![8], ..Default::default() })),
        "retry.codes is 8: expected codes other than RESOURCE_EXHAUSTED",
    );
    says(
        &with_cluster(|cluster| {
            cluster.breaker = Some(proto::Breaker { backoff_max_ns: 1, ..Default::default() });
        }),
        "clusters[0].breaker.backoff_max is 1ns: expected no less than backoff_base",
    );
    says(
        &with_cluster(|cluster| {
            cluster.breaker = Some(proto::Breaker { min_success_rate: 80.0, ..Default::default() });
        }),
        "clusters[0].breaker.min_success_rate is 80.0: expected 0 to 1",
    );
}

#[test]
fn what_is_no_message_is_refused() {
    let Err(error) = infermesh_proxy::Proxy::start(b"\xff\xff", "0") else { panic!("it is accepted") };
    assert!(error.message.contains("no ProxyConfig"), "{}", error.message);
}
