//! What one thread counts between two cuts.

use crate::{
    failure::{Failure, Kind},
    histogram::Histogram,
};
use std::{cmp::Reverse, collections::BTreeMap, collections::BinaryHeap};

/// Messages that are kept are cut here, in characters.
const LONGEST_MESSAGE: usize = 500;

#[derive(Default)]
pub struct Tally {
    pub workloads: Vec<WorkloadTally>,
    /// How late the thread came to requests that nothing held back.
    pub lateness: Histogram,
    pub connections_lost: u32,
    pub connection_error: String,
}

#[derive(Default)]
pub struct WorkloadTally {
    pub completed: u64,
    pub sent: u64,
    pub responses: u64,
    pub sent_bytes: u64,
    pub received_bytes: u64,
    pub latency: Histogram,
    pub service: Histogram,
    pub lag: Histogram,
    pub first_response: Histogram,
    pub errors: BTreeMap<Kind, Errors>,
    pub slowest: BinaryHeap<Reverse<Record>>,
    pub records: Vec<Record>,
}

#[derive(Default)]
pub struct Errors {
    pub count: u64,
    pub message: String,
    pub latency: Histogram,
}

/// One request. The order is by how long it took.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Record {
    pub latency: u64,
    pub due: u64,
    pub lag: u64,
    pub service: u64,
    pub payload: u32,
    pub connection: u32,
    pub error: Option<Kind>,
    pub trace: Option<[u8; 16]>,
    pub responses: Vec<u64>,
}

impl Tally {
    pub fn new(workloads: usize) -> Self {
        Self { workloads: (0..workloads).map(|_| WorkloadTally::default()).collect(), ..Default::default() }
    }
}

impl WorkloadTally {
    /// One that was good.
    pub fn answered(&mut self, record: &Record) {
        self.latency.record(record.latency);
        self.service.record(record.service);
    }

    pub fn failed(&mut self, record: &Record, failure: Failure) {
        let errors = self.errors.entry(failure.kind).or_default();
        errors.count += 1;
        errors.latency.record(record.latency);
        if errors.message.is_empty() {
            errors.message = failure.message.chars().take(LONGEST_MESSAGE).collect();
        }
    }

    /// Remembers a request by itself if it is among the first or the slowest.
    pub fn keep(&mut self, record: Record, slowest: usize, records: usize) {
        if self.records.len() < records {
            self.records.push(record.clone());
        }
        let slow = self.slowest.len() < slowest
            || self.slowest.peek().is_some_and(|Reverse(least)| least.latency < record.latency);
        if slow {
            self.slowest.push(Reverse(record));
            if self.slowest.len() > slowest {
                self.slowest.pop();
            }
        }
    }

    pub fn merge(&mut self, other: Self, slowest: usize, records: usize) {
        self.completed += other.completed;
        self.sent += other.sent;
        self.responses += other.responses;
        self.sent_bytes += other.sent_bytes;
        self.received_bytes += other.received_bytes;
        self.latency.merge(&other.latency);
        self.service.merge(&other.service);
        self.lag.merge(&other.lag);
        self.first_response.merge(&other.first_response);
        for (kind, errors) in other.errors {
            let own = self.errors.entry(kind).or_default();
            own.count += errors.count;
            own.latency.merge(&errors.latency);
            if own.message.is_empty() {
                own.message = errors.message;
            }
        }
        for Reverse(record) in other.slowest {
            self.keep(record, slowest, 0);
        }
        let room = records.saturating_sub(self.records.len());
        self.records.extend(other.records.into_iter().take(room));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_are_kept_and_merged() {
        let of = |latencies: &[u64]| {
            let mut tally = WorkloadTally::default();
            for &latency in latencies {
                tally.keep(Record { latency, ..Default::default() }, 2, 3);
            }
            tally
        };
        let mut one = of(&[5, 1, 9, 2]);
        one.merge(of(&[7, 8]), 2, 4);
        let first: Vec<_> = one.records.iter().map(|record| record.latency).collect();
        assert_eq!(first, [5, 1, 9, 7]);
        let mut kept: Vec<_> = one.slowest.into_iter().map(|Reverse(record)| record.latency).collect();
        kept.sort_unstable();
        assert_eq!(kept, [8, 9]);
    }

    #[test]
    fn failures_are_counted_by_kind_with_what_the_first_said() {
        let mut tally = WorkloadTally::default();
        let record = Record { latency: 1_000, ..Default::default() };
        for message in ["one", "two"] {
            tally.failed(&record, Failure::status(14, message));
        }
        tally.failed(&record, Failure::new(Kind::Timeout, "late"));
        let status = &tally.errors[&Kind::Status(14)];
        assert_eq!((status.count, status.message.as_str(), status.latency.count()), (2, "one", 2));
        assert_eq!(tally.errors[&Kind::Timeout].count, 1);
        assert_eq!(tally.latency.count(), 0);
    }
}
