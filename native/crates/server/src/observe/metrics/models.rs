//! What model versions did: Triton's counters under Triton's names, and histograms, which it has not.

use crate::models::registry::{Entry, Registry};
use infermesh_batcher::{
    Failure,
    histogram::{Durations, Histogram, Sizes},
    stats::Counters,
};
use infermesh_telemetry::metrics::{Text, text::escaped};

struct Sample {
    /// Model and version.
    labels: String,
    counters: Counters,
    pending: usize,
    /// Whether its answers may be given again.
    caches: bool,
}

struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    value: fn(&Sample) -> u64,
}

const fn counter(name: &'static str, help: &'static str, value: fn(&Sample) -> u64) -> Family {
    Family { name, kind: "counter", help, value }
}

const FAMILIES: [Family; 9] = [
    counter(
        "nv_inference_request_success",
        "Number of successful inference requests, all batch sizes",
        |it| it.counters.success.count,
    ),
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

/// Of models with a response cache.
const CACHE_FAMILIES: [Family; 4] = [
    counter("nv_cache_num_hits_per_model", "Number of cache hits per model", |it| {
        it.counters.cache_hit.count
    }),
    counter("nv_cache_num_misses_per_model", "Number of cache misses per model", |it| {
        it.counters.cache_miss.count
    }),
    counter("nv_cache_hit_duration_per_model", "Total cache hit duration per model, in microseconds", |it| {
        it.counters.cache_hit.ns / 1000
    }),
    counter(
        "nv_cache_miss_duration_per_model",
        "Total cache miss duration per model, in microseconds",
        |it| it.counters.cache_miss.ns / 1000,
    ),
];

const FAILURES: &str = "nv_inference_request_failure";

const LOAD: &str = "nv_model_load_duration_secs";

/// Name, help, and where it is counted, in nanoseconds.
type DurationFamily = (&'static str, &'static str, fn(&Counters) -> &Durations);
type SizeFamily = (&'static str, &'static str, fn(&Counters) -> &Sizes);

const DURATIONS: [DurationFamily; 3] = [
    ("infermesh_request_duration_seconds", "From arrival to answer, per request that succeeded", |it| {
        &it.request_ns
    }),
    ("infermesh_queue_duration_seconds", "From arrival to execution, per request that succeeded", |it| {
        &it.queue_ns
    }),
    ("infermesh_compute_duration_seconds", "Execution with its copies, per batch", |it| &it.compute_ns),
];

const SIZES: [SizeFamily; 2] = [
    ("infermesh_batch_rows", "Rows per batch", |it| &it.batch_rows),
    ("infermesh_batch_requests", "Requests per batch that were still awaited when it ended", |it| {
        &it.batch_requests
    }),
];

/// `caches` says whether the server has a response cache.
pub fn write(text: &mut Text, registry: &Registry, caches: bool) {
    write_samples(text, &samples(registry, caches));
}

fn samples(registry: &Registry, caches: bool) -> Vec<Sample> {
    let ready = registry.list().into_iter().filter_map(|(_, _, entry)| match entry {
        Entry::Ready(version) => Some(Sample {
            labels: format!("model=\"{}\",version=\"{}\"", escaped(&version.name), version.number),
            counters: version.engine.stats().snapshot(),
            pending: version.engine.pending(),
            caches: caches && version.cache_id.is_some(),
        }),
        Entry::Unavailable(_) => None,
    });
    ready.collect()
}

fn write_samples(text: &mut Text, samples: &[Sample]) {
    for Family { name, kind, help, value } in &FAMILIES {
        text.family(name, kind, help);
        for sample in samples {
            text.sample(name, &sample.labels, value(sample));
        }
    }
    for Family { name, kind, help, value } in &CACHE_FAMILIES {
        text.family(name, kind, help);
        for sample in samples.iter().filter(|sample| sample.caches) {
            text.sample(name, &sample.labels, value(sample));
        }
    }
    text.family(FAILURES, "counter", "Number of failed inference requests, all batch sizes");
    for sample in samples {
        for (why, count) in Failure::ALL.iter().zip(sample.counters.failures) {
            text.sample(FAILURES, &format!("{},reason=\"{}\"", sample.labels, reason(*why)), count);
        }
    }
    text.family(LOAD, "gauge", "Model load time in seconds");
    for sample in samples {
        if let Some(took) = sample.counters.load {
            text.sample(LOAD, &sample.labels, took.as_secs_f64());
        }
    }
    // A repository may hold a thousand models of which few are asked: the others have no histograms yet.
    let used = || samples.iter().filter(|sample| sample.counters.executions > 0);
    for (name, help, pick) in DURATIONS {
        text.family(name, "histogram", help);
        used().for_each(|sample| write_histogram(text, name, sample, pick(&sample.counters), 1e9));
    }
    for (name, help, pick) in SIZES {
        text.family(name, "histogram", help);
        used().for_each(|sample| write_histogram(text, name, sample, pick(&sample.counters), 1.0));
    }
}

/// What it counted is shown divided by `unit`.
fn write_histogram<const FIRST: u64, const BUCKETS: usize>(
    text: &mut Text,
    name: &str,
    sample: &Sample,
    histogram: &Histogram<FIRST, BUCKETS>,
    unit: f64,
) {
    let cumulative = histogram.cumulative().map(|(bound, count)| (bound as f64 / unit, count));
    text.histogram(name, &sample.labels, cumulative, histogram.count(), histogram.sum() as f64 / unit);
}

/// As Triton names it.
fn reason(failure: Failure) -> &'static str {
    match failure {
        Failure::Rejected => "REJECTED",
        Failure::Canceled => "CANCELED",
        Failure::Backend => "BACKEND",
        Failure::Other => "OTHER",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_without_models_exposes_every_family() {
        let mut text = Text::default();
        write_samples(&mut text, &[]);
        let text = String::from(text);
        assert_eq!(text.matches("# TYPE nv_inference_").count(), FAMILIES.len() + 1);
        assert!(text.contains("# TYPE nv_inference_pending_request_count gauge\n"));
        assert_eq!(text.matches(" histogram\n").count(), DURATIONS.len() + SIZES.len());
    }
}
