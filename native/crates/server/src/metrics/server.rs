//! The server about itself.

use super::text::Text;
use crate::thread::Shared;

pub fn write(text: &mut Text, shared: &Shared) {
    text.single(
        "infermesh_connections",
        "gauge",
        "Open connections, all protocols",
        shared.connections.receiver_count(),
    );
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
