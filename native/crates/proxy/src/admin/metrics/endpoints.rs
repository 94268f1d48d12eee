//! Of attempts, by cluster and endpoint.

use super::{histograms, samples};
use crate::{observe::metrics::Attempts, plan::Plan, upstream::endpoint::Endpoint};
use infermesh_policy::breaker::State;
use infermesh_telemetry::metrics::{Text, text::escaped};
use std::{sync::Arc, time::Instant};

struct OfEndpoint {
    labels: String,
    endpoint: Arc<Endpoint>,
    is_available: bool,
    in_flight: u32,
    /// State, and how often it has opened.
    breaker: Option<(State, u64)>,
}

/// The states that a breaker can be in, each of which has a sample.
const STATES: [&str; 3] = ["closed", "open", "half_open"];

pub fn write(text: &mut Text, plan: &Plan, now: Instant) {
    let all = &of_endpoints(plan, now);
    let name = "infermesh_proxy_attempts_total";
    text.family(name, "counter", "Attempts at an endpoint by how they ended");
    for OfEndpoint { labels, endpoint, .. } in all {
        for (fate, count) in endpoint.counts.ends() {
            text.sample(name, &format!("{labels},outcome=\"{}\"", fate.name()), count);
        }
    }
    histograms(
        text,
        "infermesh_proxy_attempt_duration_seconds",
        "From the choice of an endpoint to the end of its answer",
        all.iter().map(|it| (&it.labels[..], &it.endpoint.counts.durations)),
    );
    let name = "infermesh_proxy_breaker_state";
    text.family(name, "gauge", "1 for the state that an endpoint's circuit breaker is in");
    for OfEndpoint { labels, breaker, .. } in all {
        let Some((state, _)) = breaker else { continue };
        for known in STATES {
            text.sample(name, &format!("{labels},state=\"{known}\""), u8::from(state.name() == known));
        }
    }
    let opened = all.iter().filter_map(|it| Some((&it.labels[..], it.breaker?.1)));
    samples(
        text,
        "infermesh_proxy_breaker_openings_total",
        "counter",
        "How often an endpoint's circuit breaker has opened",
        opened,
    );
    let mut family = |name: &str, kind: &str, help: &str, value: fn(&OfEndpoint) -> u64| {
        samples(text, name, kind, help, all.iter().map(|it| (&it.labels[..], value(it))));
    };
    family("infermesh_proxy_endpoint_available", "gauge", "Whether an endpoint may be asked", |it| {
        it.is_available.into()
    });
    family("infermesh_proxy_endpoint_healthy", "gauge", "Whether an endpoint passes its checks", |it| {
        it.endpoint.is_healthy().into()
    });
    family("infermesh_proxy_attempts_in_flight", "gauge", "Attempts under way", |it| it.in_flight.into());
    let mut family = |name: &str, kind: &str, help: &str, value: fn(&Attempts) -> u64| {
        samples(text, name, kind, help, all.iter().map(|it| (&it.labels[..], value(&it.endpoint.counts))));
    };
    let connections = "infermesh_proxy_upstream_connections";
    family(connections, "gauge", "Connections to an endpoint, also those being made", |it| {
        it.connections.get()
    });
    let opened = "infermesh_proxy_upstream_connections_opened_total";
    family(opened, "counter", "Connections to an endpoint that were begun", |it| it.opened.get());
    let pending = "infermesh_proxy_upstream_pending_requests";
    family(pending, "gauge", "Requests that wait for a connection to an endpoint", |it| it.pending.get());
}

fn of_endpoints(plan: &Plan, now: Instant) -> Vec<OfEndpoint> {
    let mut all = Vec::new();
    for cluster in &plan.clusters {
        for endpoint in cluster.endpoints().iter() {
            let address = endpoint.address.to_string();
            let is_available = endpoint.is_available(now);
            let state = endpoint.lock();
            all.push(OfEndpoint {
                labels: format!("cluster=\"{}\",endpoint=\"{}\"", escaped(&cluster.name), escaped(&address)),
                endpoint: endpoint.clone(),
                is_available,
                in_flight: state.load.pending(),
                breaker: state.breaker.as_ref().map(|breaker| (breaker.state(), breaker.opened())),
            });
        }
    }
    all
}
