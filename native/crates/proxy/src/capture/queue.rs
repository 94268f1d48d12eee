//! Where the records of all routes wait for whoever writes them. What may wait is bounded by route: see `Captures`.

use super::{captures::capacity, record::Record};
use crate::proto::Capture;
use infermesh_telemetry::outbox::{Outbox, Pace};
use std::time::Duration;

/// Records that are few wait for more this long; a writer's files change anyway by the second at most.
const DELAY: Duration = Duration::from_secs(1);
/// A batch as a part of what one route may have there, so that there is room for more while one is written.
const BATCHES: usize = 4;

#[derive(Debug)]
pub struct Queue(Outbox<Record>);

impl Queue {
    /// For all routes that keep something.
    pub fn new<'a>(routes: impl IntoIterator<Item = &'a Capture>) -> Self {
        let least = routes.into_iter().map(capacity).min().unwrap_or(usize::MAX);
        let pace = Pace { capacity: usize::MAX, batch: (least / BATCHES).max(1), delay: DELAY };
        Self(Outbox::weighing(pace, Record::weight))
    }

    pub(super) fn post(&self, record: Record) {
        self.0.post([record]);
    }

    /// The next records, each a serialised `infermesh.capture.v1.Record`; empty if there are none within
    /// `patience`. Blocks.
    pub fn take(&self, patience: Duration) -> Vec<Vec<u8>> {
        self.0.take(patience).into_iter().map(Record::encode).collect()
    }

    /// From now on `take` returns at once.
    pub fn flush(&self) {
        self.0.flush();
    }
}
