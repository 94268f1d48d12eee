//! Who is asked, and how they do.

use crate::{
    plan::Plan,
    upstream::{cluster::Cluster, endpoint::Endpoint, split::Split},
};
use infermesh_policy::breaker::State;
use serde_json::{Map, Value, json};
use std::time::Instant;

/// One object for each endpoint of each cluster.
pub fn of(plan: &Plan, now: Instant) -> Value {
    let all = plan.clusters.iter().flat_map(|cluster| {
        let endpoints = cluster.endpoints();
        endpoints.iter().map(|endpoint| one(cluster, endpoint, now)).collect::<Vec<_>>()
    });
    Value::Array(all.collect())
}

/// Clusters, and the share of this one's requests that goes to each.
pub fn split(cluster: &Cluster) -> Map<String, Value> {
    let shares = cluster.split.iter().flat_map(Split::shares);
    shares.map(|(name, share)| (name.to_owned(), share.into())).collect()
}

fn one(cluster: &Cluster, endpoint: &Endpoint, now: Instant) -> Value {
    let is_available = endpoint.is_available(now);
    let counts = &endpoint.counts;
    let (attempts, failures) = counts.totals();
    let (breaker, ejected, load, pending) = {
        let state = endpoint.lock();
        let breaker = state.breaker.as_ref().map(|breaker| {
            let open_for = match breaker.state() {
                State::Open { until } => Some(until.saturating_duration_since(now).as_secs_f64()),
                State::Closed | State::HalfOpen => None,
            };
            json!({
                "state": breaker.state().name(),
                "open_for_seconds": open_for,
                "openings": breaker.opened(),
            })
        });
        let ejected = state.ejected.filter(|until| now < *until);
        let ejected = ejected.map(|until| until.saturating_duration_since(now).as_secs_f64());
        (breaker, ejected, state.load.cost(now), state.load.pending())
    };
    json!({
        "cluster": cluster.name,
        "split": split(cluster),
        "endpoint": endpoint.address.to_string(),
        "available": is_available,
        "unavailable_because": (!is_available).then(|| endpoint.describe(now)),
        "healthy": endpoint.is_healthy(),
        "breaker": breaker,
        "ejected_for_seconds": ejected,
        "load": load,
        "requests_in_flight": pending,
        "requests_waiting": counts.pending.get(),
        "connections": counts.connections.get(),
        "requests": attempts,
        "failures": failures,
        "latency_seconds": super::stats::latency(&counts.durations),
    })
}
