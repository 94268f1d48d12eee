//! Totals since the start, for people who look at one proxy; who wants more than a glance has `/metrics`.

use super::{endpoints, policies, route::unready};
use crate::{
    observe::metrics::{Durations, Requests},
    plan::{Listener, Route},
    shared::Shared,
};
use serde_json::{Value, json};
use std::time::Instant;

pub fn of(shared: &Shared, now: Instant) -> Value {
    let uptime = now.saturating_duration_since(shared.started).as_secs_f64();
    let routes = shared.plan.listeners.iter().flat_map(|listener| of_listener(listener, uptime, now));
    let unready = unready(shared);
    json!({
        "name": shared.name,
        "version": shared.version,
        "uptime_seconds": uptime,
        "ready": unready.is_none(),
        "unready_because": unready,
        "connections": shared.connections.count(),
        "replay_bytes": shared.replay.used(),
        "spans_dropped": shared.traces.dropped(),
        "log_records_dropped": shared.log.dropped(),
        "routes": routes.collect::<Vec<_>>(),
        "endpoints": endpoints::of(&shared.plan, now),
    })
}

fn of_listener(listener: &Listener, uptime: f64, now: Instant) -> Vec<Value> {
    let one = |name: &str, route: Option<&Route>, counts: &Requests| {
        let (requests, failures) = counts.totals();
        json!({
            "listener": listener.name,
            "route": name,
            "cluster": route.map(|route| &route.cluster.name),
            "split": route.map(|route| endpoints::split(&route.cluster)),
            "requests": requests,
            "failures": failures,
            "requests_per_second": requests as f64 / uptime.max(f64::MIN_POSITIVE),
            "requests_in_flight": counts.in_flight.get(),
            "retries": counts.retries.get(),
            "hedges": counts.hedges.get(),
            "request_bytes": counts.received.get(),
            "response_bytes": counts.sent.get(),
            "latency_seconds": latency(&counts.durations),
            "policies": route.map(|route| policies::of(route, now)),
        })
    };
    let routes = listener.routes.iter().map(|route| one(&route.name, Some(route), &route.counts));
    let routes = routes.collect::<Vec<_>>();
    match listener.counts.totals() {
        (0, _) => routes,
        _ => [routes, vec![one("", None, &listener.counts)]].concat(),
    }
}

/// Estimates from a histogram; null where there is nothing yet.
pub fn latency(durations: &Durations) -> Value {
    let found = durations.snapshot();
    let mean = (found.count() > 0).then(|| found.sum / found.count() as f64);
    json!({
        "mean": mean,
        "p50": found.quantile(0.5),
        "p90": found.quantile(0.9),
        "p99": found.quantile(0.99),
    })
}
