//! Of requests, by listener and route.

use super::{histograms, labels, samples};
use crate::{observe::metrics::Requests, plan::Plan};
use infermesh_telemetry::metrics::Text;

/// Of a route; of a listener, for requests that came to no route.
type OfRoute<'a> = (String, &'a Requests);

pub fn write(text: &mut Text, plan: &Plan) {
    let all = &of_routes(plan);
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

fn of_routes(plan: &Plan) -> Vec<OfRoute<'_>> {
    let all = plan.listeners.iter().flat_map(|listener| {
        let routes = listener.routes.iter().map(|route| (labels(&listener.name, &route.name), &route.counts));
        let unmatched =
            (listener.counts.totals().0 > 0).then(|| (labels(&listener.name, ""), &listener.counts));
        routes.chain(unmatched)
    });
    all.collect()
}
