//! Everything that is counted, as Prometheus reads it: of `requests` by route, of what routes do with them beside sending them
//! on (`policies`), of attempts by endpoint (`endpoints`), of `certificates`, and of the process.

mod certificates;
mod endpoints;
mod policies;
mod requests;

use crate::{observe::metrics::Durations, shared::Shared};
use infermesh_telemetry::metrics::{Text, process, text::escaped};
use std::{fmt::Display, sync::atomic::Ordering::Relaxed, time::Instant};

pub fn expose(shared: &Shared, now: Instant) -> String {
    let mut text = Text::default();
    requests::write(&mut text, &shared.plan);
    policies::write(&mut text, &shared.plan, now);
    endpoints::write(&mut text, &shared.plan, now);
    proxy(&mut text, shared);
    if let Some(identity) = &shared.identity {
        certificates::write(&mut text, identity);
    }
    process::write(&mut text);
    text.into()
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
    text.single(
        "infermesh_proxy_tap_events_dropped_total",
        "counter",
        "Events of live requests that came faster than who looked at them read",
        shared.tap.dropped(),
    );
}

fn labels(listener: &str, route: &str) -> String {
    format!("listener=\"{}\",route=\"{}\"", escaped(listener), escaped(route))
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
