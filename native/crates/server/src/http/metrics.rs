//! `/metrics`: what models did, in Prometheus' text format and under Triton's names.

use super::answer::{self, Answer};
use crate::{model::Version, registry::Entry, thread::Local};
use hyper::{Method, Request, body::Incoming};
use infermesh_batcher::stats::Counters;
use std::{fmt::Write, rc::Rc, sync::Arc};

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    /// Beside model and version.
    label: &'static str,
    value: fn(&Sample) -> u64,
}

struct Sample {
    version: Arc<Version>,
    counters: Counters,
    pending: usize,
}

const fn counter(name: &'static str, help: &'static str, value: fn(&Sample) -> u64) -> Family {
    Family { name, kind: "counter", help, label: "", value }
}

const FAMILIES: [Family; 10] = [
    counter(
        "nv_inference_request_success",
        "Number of successful inference requests, all batch sizes",
        |it| it.counters.success.count,
    ),
    // Not told apart here, and one label value keeps queries that Triton's users have.
    Family {
        label: ",reason=\"OTHER\"",
        ..counter(
            "nv_inference_request_failure",
            "Number of failed inference requests, all batch sizes",
            |it| it.counters.fail.count,
        )
    },
    counter(
        "nv_inference_count",
        "Number of inferences performed (does not include cached requests)",
        |it| it.counters.inferences,
    ),
    counter(
        "nv_inference_exec_count",
        "Number of model executions performed (does not include cached requests)",
        |it| it.counters.executions,
    ),
    counter(
        "nv_inference_request_duration_us",
        "Cumulative inference request duration in microseconds (includes cached requests)",
        |it| it.counters.success.ns / 1000,
    ),
    counter(
        "nv_inference_queue_duration_us",
        "Cumulative inference queuing duration in microseconds (includes cached requests)",
        |it| it.counters.queue.ns / 1000,
    ),
    counter(
        "nv_inference_compute_input_duration_us",
        "Cumulative compute input duration in microseconds (does not include cached requests)",
        |it| it.counters.compute_input.ns / 1000,
    ),
    counter(
        "nv_inference_compute_infer_duration_us",
        "Cumulative compute inference duration in microseconds (does not include cached requests)",
        |it| it.counters.compute_infer.ns / 1000,
    ),
    counter(
        "nv_inference_compute_output_duration_us",
        "Cumulative inference compute output duration in microseconds (does not include cached requests)",
        |it| it.counters.compute_output.ns / 1000,
    ),
    Family {
        kind: "gauge",
        ..counter(
            "nv_inference_pending_request_count",
            "Instantaneous number of pending requests awaiting execution per-model",
            |it| it.pending as u64,
        )
    },
];

/// Answers one request on a metrics listener.
pub async fn serve(local: Rc<Local>, request: Request<Incoming>) -> Answer {
    match (request.uri().path(), request.method()) {
        ("/metrics", &Method::GET | &Method::HEAD) => {
            answer::typed(CONTENT_TYPE, [expose(&samples(&local)).into()])
        }
        ("/metrics", _) => answer::wrong_method("GET"),
        (path, _) => answer::unknown_path(path),
    }
}

fn samples(local: &Local) -> Vec<Sample> {
    let ready = local.shared.registry.list().into_iter().filter_map(|(_, _, entry)| match entry {
        Entry::Ready(version) => Some(version),
        Entry::Unavailable(_) => None,
    });
    let sample = |version: Arc<Version>| Sample {
        counters: version.scheduler.stats().snapshot(),
        pending: version.scheduler.pending(),
        version,
    };
    ready.map(sample).collect()
}

fn expose(samples: &[Sample]) -> String {
    let mut text = String::new();
    for Family { name, kind, help, label, value } in &FAMILIES {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for sample in samples {
            let (model, number) = (escaped(&sample.version.name), sample.version.number);
            let value = value(sample);
            let _ = writeln!(text, "{name}{{model=\"{model}\",version=\"{number}\"{label}}} {value}");
        }
    }
    text
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stay_on_their_line() {
        assert_eq!(escaped("a\"b\\\n"), "a\\\"b\\\\\\n");
    }

    #[test]
    fn a_server_without_models_exposes_every_family() {
        let text = expose(&[]);
        assert_eq!(text.matches("# TYPE nv_inference_").count(), FAMILIES.len());
        assert!(text.contains("# TYPE nv_inference_pending_request_count gauge\n"));
    }
}
