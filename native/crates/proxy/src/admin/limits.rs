//! Who is let in, and what need not be asked again, as Prometheus reads it.

use crate::plan::Plan;
use infermesh_telemetry::metrics::{Text, text::escaped};
use std::{fmt::Display, time::Instant};

pub fn write(text: &mut Text, plan: &Plan, now: Instant) {
    let routes: Vec<_> = plan
        .listeners
        .iter()
        .flat_map(|listener| {
            listener.routes.iter().map(move |route| {
                let labels =
                    format!("listener=\"{}\",route=\"{}\"", escaped(&listener.name), escaped(&route.name));
                (labels, route)
            })
        })
        .collect();
    let numbers: Vec<_> = routes.iter().map(|(labels, route)| (labels, route.limits.numbers(now))).collect();
    let name = "infermesh_proxy_requests_not_admitted_total";
    text.family(name, "counter", "Requests that a limit refused, by reason");
    for (labels, numbers) in &numbers {
        for (reason, count) in numbers.refused.iter().filter(|(_, count)| *count > 0) {
            text.sample(name, &format!("{labels},reason=\"{reason}\""), *count);
        }
    }
    let crowds: Vec<_> =
        numbers.iter().filter_map(|(labels, numbers)| Some((*labels, numbers.crowd?))).collect();
    let mut gauge = |name: &str, help: &str, values: Vec<(&String, usize)>| family(text, name, help, values);
    gauge(
        "infermesh_proxy_concurrency_limit",
        "Requests that may be under way",
        crowds.iter().map(|(labels, crowd)| (*labels, crowd.limit)).collect(),
    );
    gauge(
        "infermesh_proxy_concurrency_in_flight",
        "Requests under way that count against the limit",
        crowds.iter().map(|(labels, crowd)| (*labels, crowd.in_flight)).collect(),
    );
    gauge(
        "infermesh_proxy_concurrency_waiting",
        "Requests that wait for their turn",
        crowds.iter().map(|(labels, crowd)| (*labels, crowd.waiting)).collect(),
    );
    let shed = numbers.iter().filter_map(|(labels, numbers)| Some((*labels, numbers.shed?))).collect();
    let help = "Share of the requests that is refused because too many fail";
    family(text, "infermesh_proxy_shed_ratio", help, shed);
    let caches: Vec<_> =
        routes.iter().filter_map(|(labels, route)| Some((labels, route.cache.as_ref()?.counts()))).collect();
    let name = "infermesh_proxy_cache_lookups_total";
    text.family(name, "counter", "Inferences looked up in the cache");
    for (labels, (hits, misses)) in caches {
        text.sample(name, &format!("{labels},result=\"hit\""), hits);
        text.sample(name, &format!("{labels},result=\"miss\""), misses);
    }
}

fn family(text: &mut Text, name: &str, help: &str, values: Vec<(&String, impl Display)>) {
    text.family(name, "gauge", help);
    for (labels, value) in values {
        text.sample(name, labels, value);
    }
}
