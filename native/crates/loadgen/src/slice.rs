//! Tallies in the form in which they are told.

use crate::{
    plan::Plan,
    proto,
    tally::{Record, Tally, WorkloadTally},
};
use std::cmp::Reverse;

/// Joins what the threads counted.
pub fn merged(plan: &Plan, tallies: impl IntoIterator<Item = Tally>) -> Tally {
    let mut whole = Tally::new(plan.workloads.len());
    for tally in tallies {
        whole.lateness.merge(&tally.lateness);
        whole.connections_lost += tally.connections_lost;
        if !tally.connection_error.is_empty() {
            whole.connection_error = tally.connection_error;
        }
        for (own, other) in whole.workloads.iter_mut().zip(tally.workloads) {
            own.merge(other, plan.slowest, plan.max_records);
        }
    }
    whole
}

/// Fills in what was counted; the times and the state of the generator are the caller's. Moments count from `start`.
pub fn told(tally: Tally, start: u64) -> proto::LoadSlice {
    proto::LoadSlice {
        lateness: tally.lateness.encode_plain().into(),
        connections_lost: tally.connections_lost,
        connection_error: tally.connection_error,
        workloads: tally.workloads.into_iter().map(|workload| workload_told(workload, start)).collect(),
        ..Default::default()
    }
}

fn workload_told(tally: WorkloadTally, start: u64) -> proto::WorkloadSlice {
    let mut slowest: Vec<_> = tally.slowest.into_iter().map(|Reverse(record)| record).collect();
    slowest.sort_unstable_by_key(|record| Reverse(record.latency));
    let records =
        |records: Vec<Record>| records.into_iter().map(|record| record_told(record, start)).collect();
    proto::WorkloadSlice {
        completed: tally.completed,
        sent: tally.sent,
        latency: tally.latency.encode_plain().into(),
        service: tally.service.encode_plain().into(),
        lag: tally.lag.encode_plain().into(),
        first_response: tally.first_response.encode_plain().into(),
        errors: tally
            .errors
            .into_iter()
            .map(|(kind, errors)| proto::ErrorSlice {
                kind: kind.name().into_owned(),
                count: errors.count,
                message: errors.message,
                latency: errors.latency.encode_plain().into(),
            })
            .collect(),
        responses: tally.responses,
        sent_bytes: tally.sent_bytes,
        received_bytes: tally.received_bytes,
        slowest: records(slowest),
        records: records(tally.records),
    }
}

fn record_told(record: Record, start: u64) -> proto::RequestRecord {
    proto::RequestRecord {
        due_ns: record.due.saturating_sub(start),
        lag_ns: record.lag,
        service_ns: record.service,
        payload: record.payload,
        error: record.error.map(|kind| kind.name().into_owned()).unwrap_or_default(),
        connection: record.connection,
        trace_id: record.trace.map(|id| id.to_vec().into()).unwrap_or_default(),
        response_ns: record.responses,
    }
}
