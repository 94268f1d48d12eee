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
        "infermesh_log_records_dropped_total",
        "counter",
        "Log records that came faster than they were written",
        shared.log.dropped(),
    );
}
