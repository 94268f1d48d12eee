//! How the policies of a route stand.

use super::stats::latency;
use crate::{
    limit::Numbers,
    plan::{Route, enrichment::Enrichment},
};
use serde_json::{Map, Value, json};
use std::time::Instant;

/// What a route does not have is null.
pub fn of(route: &Route, now: Instant) -> Value {
    let Numbers { crowd, shed, refused } = route.limits.numbers(now);
    let refused: Map<_, _> = refused
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(reason, count)| (reason.to_owned(), count.into()))
        .collect();
    let cache = route.cache.as_ref().map(|cache| cache.counts());
    json!({
        "concurrency": crowd.map(|crowd| json!({
            "limit": crowd.limit,
            "in_flight": crowd.in_flight,
            "waiting": crowd.waiting,
        })),
        "shed_ratio": shed,
        "refused": refused,
        "cache": cache.map(|(hits, misses)| json!({ "hits": hits, "misses": misses })),
        "captures": route.capture.as_ref().map(|captures| json!({
            "kept": captures.posted(),
            "dropped": captures.dropped(),
        })),
        "enrichments": enrichments(route).map(one).collect::<Vec<_>>(),
    })
}

/// Those that look at requests, then those that look at answers.
pub fn enrichments(route: &Route) -> impl Iterator<Item = &Enrichment> {
    route.on_request.rules.iter().chain(&route.on_response.rules)
}

fn one(rule: &Enrichment) -> Value {
    let (asked, failures) = rule.route.counts.totals();
    json!({
        "rule": rule.name,
        "model": rule.model,
        "asked": asked,
        "failures": failures,
        "latency_seconds": latency(&rule.route.counts.durations),
    })
}
