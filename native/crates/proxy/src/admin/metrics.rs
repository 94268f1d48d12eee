//! Everything that is counted, as Prometheus reads it.

use super::limits;
use crate::{
    capture::Captures,
    observe::metrics::{Attempts, Durations, Requests},
    plan::Plan,
    shared::Shared,
    upstream::endpoint::Endpoint,
};
use infermesh_policy::breaker::State;
use infermesh_telemetry::metrics::{Text, process, text::escaped};
use infermesh_transport::tls::Identity;
use std::{
    collections::BTreeMap,
    fmt::Display,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};

/// Of a route; of a listener, for requests that came to no route.
type OfRoute<'a> = (String, &'a Requests);

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

pub fn expose(shared: &Shared, now: Instant) -> String {
    let mut text = Text::default();
    requests(&mut text, &of_routes(&shared.plan));
    attempts(&mut text, &of_endpoints(&shared.plan, now));
    captures(&mut text, &shared.plan);
    limits::write(&mut text, &shared.plan, now);
    proxy(&mut text, shared);
    if let Some(identity) = &shared.identity {
        certificates(&mut text, identity);
    }
    process::write(&mut text);
    text.into()
}

fn of_routes(plan: &Plan) -> Vec<OfRoute<'_>> {
    let all = plan.listeners.iter().flat_map(|listener| {
        let routes = listener.routes.iter().map(|route| (labels(&listener.name, &route.name), &route.counts));
        let unmatched =
            (listener.counts.totals().0 > 0).then(|| (labels(&listener.name, ""), &listener.counts));
        routes.chain(unmatched)
    });
    all.collect()
}

fn labels(listener: &str, route: &str) -> String {
    format!("listener=\"{}\",route=\"{}\"", escaped(listener), escaped(route))
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

fn requests(text: &mut Text, all: &[OfRoute<'_>]) {
    let name = "infermesh_proxy_requests_total";
    text.family(name, "counter", "Requests by how they ended: gRPC's code, or the class of the HTTP status");
    for (labels, counts) in all {
        for (protocol, code, count) in counts.ends() {
            text.sample(name, &format!("{labels},protocol=\"{protocol}\",code=\"{code}\""), count);
        }
    }
    histograms(
        text,
        "infermesh_proxy_request_duration_seconds",
        "From the head of a request to the end of its answer",
        all.iter().map(|(labels, counts)| (&labels[..], &counts.durations)),
    );
    let name = "infermesh_proxy_retries_refused_total";
    text.family(name, "counter", "Failed requests that were not sent again, by reason");
    for (labels, counts) in all {
        for (reason, count) in counts.refusals() {
            text.sample(name, &format!("{labels},reason=\"{reason}\""), count);
        }
    }
    let mut family = |name: &str, kind: &str, help: &str, value: fn(&Requests) -> u64| {
        samples(text, name, kind, help, all.iter().map(|(labels, counts)| (&labels[..], value(counts))));
    };
    family("infermesh_proxy_requests_in_flight", "gauge", "Requests under way", |it| it.in_flight.get());
    family("infermesh_proxy_retries_total", "counter", "Attempts after the first", |it| it.retries.get());
    family("infermesh_proxy_hedges_total", "counter", "Attempts beside the first", |it| it.hedges.get());
    family("infermesh_proxy_request_bytes_total", "counter", "Bytes of requests' bodies", |it| {
        it.received.get()
    });
    family("infermesh_proxy_response_bytes_total", "counter", "Bytes of answers' bodies", |it| it.sent.get());
}

fn attempts(text: &mut Text, all: &[OfEndpoint]) {
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

/// Of routes that keep something.
fn captures(text: &mut Text, plan: &Plan) {
    let kept: Vec<(String, &Captures)> = plan
        .listeners
        .iter()
        .flat_map(|listener| listener.routes.iter().map(move |route| (listener, route)))
        .filter_map(|(listener, route)| {
            Some((labels(&listener.name, &route.name), route.capture.as_deref()?))
        })
        .collect();
    let mut family = |name: &str, help: &str, value: fn(&Captures) -> u64| {
        let all = kept.iter().map(|(labels, captures)| (&labels[..], value(captures)));
        samples(text, name, "counter", help, all);
    };
    family("infermesh_proxy_captures_total", "Requests that were kept with their answers", |it| it.posted());
    family(
        "infermesh_proxy_captures_dropped_total",
        "Requests of the sample that were not kept: what is to be written came faster than it is written",
        |it| it.dropped(),
    );
}

fn proxy(text: &mut Text, shared: &Shared) {
    let name = "infermesh_proxy_info";
    text.family(name, "gauge", "Which proxy this is");
    let labels = format!("name=\"{}\",version=\"{}\"", escaped(&shared.name), escaped(&shared.version));
    text.sample(name, &labels, 1);
    let ready = u8::from(shared.ready.load(Relaxed));
    text.single("infermesh_proxy_ready", "gauge", "Whether requests should come", ready);
    let count = shared.connections.count();
    text.single("infermesh_proxy_connections", "gauge", "Connections of those who call", count);
    text.single(
        "infermesh_proxy_replay_bytes",
        "gauge",
        "Memory of bodies that are kept in case they have to be sent again",
        shared.replay.used(),
    );
    text.single(
        "infermesh_proxy_spans_exported_total",
        "counter",
        "Spans that were handed to the exporter",
        shared.traces.taken(),
    );
    text.single(
        "infermesh_proxy_spans_dropped_total",
        "counter",
        "Spans that were recorded and did not reach the collector: the queue was full, or the collector away",
        shared.traces.dropped(),
    );
    text.single(
        "infermesh_proxy_log_records_dropped_total",
        "counter",
        "Log records that came faster than they were written",
        shared.log.dropped(),
    );
}

fn certificates(text: &mut Text, identity: &Identity) {
    let current = identity.current();
    let name = "infermesh_proxy_certificate_expiration_timestamp_seconds";
    text.family(
        name,
        "gauge",
        "When a certificate ends, in seconds since 1970: ours, or that of an authority",
    );
    let mut expiry = |role: &str, subject: &str, seconds: u64| {
        text.sample(name, &format!("role=\"{role}\",subject=\"{}\"", escaped(subject)), seconds);
    };
    expiry("identity", current.id.as_str(), current.facts.not_after);
    // Of authorities that bear one name the first to end.
    let mut authorities = BTreeMap::new();
    for facts in &current.authorities.facts {
        let ends = authorities.entry(&facts.subject[..]).or_insert(facts.not_after);
        *ends = facts.not_after.min(*ends);
    }
    authorities.into_iter().for_each(|(subject, ends)| expiry("authority", subject, ends));
    let sides = [("accepted", identity.accepted.counts()), ("connected", identity.connected.counts())];
    let name = "infermesh_proxy_tls_handshakes_total";
    text.family(name, "counter", "Handshakes of connections that were accepted or made, by how they ended");
    for (side, counts) in &sides {
        let failed = counts.failed.iter().filter(|(_, count)| *count > 0);
        let failed = failed.map(|(reason, count)| (reason.label(), *count));
        for (result, count) in
            [("done", counts.done), ("without_tls", counts.plaintext)].into_iter().chain(failed)
        {
            text.sample(name, &format!("side=\"{side}\",result=\"{result}\""), count);
        }
    }
    let name = "infermesh_proxy_tls_resumptions_total";
    text.family(name, "counter", "Handshakes that went on with an earlier session");
    for (side, counts) in &sides {
        text.sample(name, &format!("side=\"{side}\""), counts.resumed);
    }
}

fn samples<'a, T: Display>(
    text: &mut Text,
    name: &str,
    kind: &str,
    help: &str,
    all: impl Iterator<Item = (&'a str, T)>,
) {
    text.family(name, kind, help);
    all.for_each(|(labels, value)| text.sample(name, labels, value));
}

/// Those that were never used are left out: there may be a thousand endpoints.
fn histograms<'a>(
    text: &mut Text,
    name: &str,
    help: &str,
    all: impl Iterator<Item = (&'a str, &'a Durations)>,
) {
    text.family(name, "histogram", help);
    for (labels, durations) in all {
        let found = durations.snapshot();
        if found.count() > 0 {
            text.histogram(name, labels, found.cumulative(), found.count(), found.sum);
        }
    }
}
