//! The server about itself.

use crate::shared::Shared;
use infermesh_telemetry::metrics::Text;

pub fn write(text: &mut Text, shared: &Shared) {
    text.single(
        "infermesh_connections",
        "gauge",
        "Open connections, all protocols",
        shared.connections.count(),
    );
    if let Some(usage) = shared.cache.as_ref().map(|cache| cache.usage()) {
        text.single("infermesh_cache_bytes", "gauge", "Memory of the response cache in use", usage.bytes);
        text.single("infermesh_cache_limit_bytes", "gauge", "Memory of the response cache", usage.limit);
        text.single("infermesh_cache_answers", "gauge", "Answers in the response cache", usage.answers);
        text.single(
            "infermesh_cache_evictions_total",
            "counter",
            "Answers that made room for others in the response cache",
            usage.evictions,
        );
    }
    text.single(
        "infermesh_spans_exported_total",
        "counter",
        "Spans that were handed to the exporter",
        shared.traces.taken(),
    );
    text.single(
        "infermesh_spans_dropped_total",
        "counter",
        "Spans that were recorded and did not reach the collector: the queue was full, or the collector away",
        shared.traces.dropped(),
    );
    text.single(
        "infermesh_log_records_dropped_total",
        "counter",
        "Log records that came faster than they were written",
        shared.log.dropped(),
    );
}
