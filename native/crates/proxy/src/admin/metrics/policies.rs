//! Of what routes do with requests beside sending them on: whom they let in, what they answer from their cache, what they
//! keep, and which models they ask about them.

use super::{histograms, labels, samples};
use crate::{
    admin::policies::enrichments,
    capture::Captures,
    limit::{Crowd, Numbers},
    observe::metrics::Requests,
    plan::{Plan, Route},
};
use infermesh_telemetry::metrics::{Text, text::escaped};
use std::{collections::HashSet, time::Instant};

pub fn write(text: &mut Text, plan: &Plan, now: Instant) {
    let routes = plan.listeners.iter().flat_map(|listener| {
        listener.routes.iter().map(|route| (labels(&listener.name, &route.name), &**route))
    });
    let routes: Vec<(String, &Route)> = routes.collect();
    limits(text, &routes, now);
    caches(text, &routes);
    captures(text, &routes);
    rules(text, &routes);
}

fn limits(text: &mut Text, routes: &[(String, &Route)], now: Instant) {
    let all: Vec<(&str, Numbers)> =
        routes.iter().map(|(labels, route)| (&labels[..], route.limits.numbers(now))).collect();
    let mut family = |name: &str, help: &str, value: fn(&Crowd) -> usize| {
        let crowds = all.iter().filter_map(|(labels, numbers)| Some((*labels, value(&numbers.crowd?))));
        samples(text, name, "gauge", help, crowds);
    };
    let limit = "infermesh_proxy_concurrency_limit";
    family(limit, "Requests of a route that may be under way", |crowd| crowd.limit);
    let taken = "infermesh_proxy_concurrency_in_flight";
    family(taken, "Requests that have been let in and are under way", |crowd| crowd.in_flight);
    let waiting = "infermesh_proxy_concurrency_waiting";
    family(waiting, "Requests that wait to be let in", |crowd| crowd.waiting);
    let shed = all.iter().filter_map(|(labels, numbers)| Some((*labels, numbers.shed?)));
    let name = "infermesh_proxy_shed_ratio";
    samples(text, name, "gauge", "Share of requests that is refused because too many fail", shed);
    let name = "infermesh_proxy_requests_not_admitted_total";
    text.family(name, "counter", "Requests that were not let in, by reason");
    for (labels, numbers) in &all {
        for (reason, count) in numbers.refused.iter().filter(|(_, count)| *count > 0) {
            text.sample(name, &format!("{labels},reason=\"{reason}\""), count);
        }
    }
}

fn caches(text: &mut Text, routes: &[(String, &Route)]) {
    let name = "infermesh_proxy_cache_lookups_total";
    text.family(name, "counter", "Inferences that were looked for in a route's cache");
    for (labels, route) in routes {
        let Some(cache) = &route.cache else { continue };
        let (hits, misses) = cache.counts();
        for (result, count) in [("hit", hits), ("miss", misses)] {
            text.sample(name, &format!("{labels},result=\"{result}\""), count);
        }
    }
}

fn captures(text: &mut Text, routes: &[(String, &Route)]) {
    let mut family = |name: &str, help: &str, value: fn(&Captures) -> u64| {
        let all = routes.iter().filter_map(|(labels, route)| {
            let captures = route.capture.as_deref()?;
            Some((&labels[..], value(captures)))
        });
        samples(text, name, "counter", help, all);
    };
    family("infermesh_proxy_captures_total", "Requests that were kept with their answers", |it| it.posted());
    family(
        "infermesh_proxy_captures_dropped_total",
        "Requests of the sample that were not kept: what is to be written came faster than it is written",
        |it| it.dropped(),
    );
}

fn rules(text: &mut Text, routes: &[(String, &Route)]) {
    let all: Vec<(String, &Requests)> =
        routes.iter().flat_map(|(labels, route)| of_rules(labels, route)).collect();
    let name = "infermesh_proxy_enrichments_total";
    text.family(name, "counter", "Questions to models about requests or answers, by how they ended");
    for (labels, counts) in &all {
        for (_, code, count) in counts.ends() {
            text.sample(name, &format!("{labels},code=\"{code}\""), count);
        }
    }
    histograms(
        text,
        "infermesh_proxy_enrichment_duration_seconds",
        "How long a model was asked",
        all.iter().map(|(labels, counts)| (&labels[..], &counts.durations)),
    );
}

/// Names of rules may be those of their models, and so may be there twice.
fn of_rules<'a>(labels: &str, route: &'a Route) -> Vec<(String, &'a Requests)> {
    let mut seen = HashSet::new();
    let all = enrichments(route).enumerate().map(|(index, rule)| {
        let again = if seen.insert(&rule.name) { String::new() } else { format!("#{index}") };
        (format!("{labels},rule=\"{}{again}\"", escaped(&rule.name)), &rule.route.counts)
    });
    all.collect()
}
