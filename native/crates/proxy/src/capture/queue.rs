//! Where records wait for whoever writes them.

use super::{
    record::{Body, Record},
    room::Room,
    sampler::Sampler,
};
use crate::proto::Capture;
use infermesh_telemetry::outbox::{Outbox, Pace};
use infermesh_wire::Error;
use std::{sync::Arc, time::Duration};

const MAX_BODY: usize = 1 << 20;
const QUEUE: usize = 16 << 20;
/// Records that are few wait for more this long; a writer's files change anyway by the second at most.
const DELAY: Duration = Duration::from_secs(1);
/// A batch as a part of the queue, so that several fit while one is written.
const BATCHES: usize = 4;

/// The sample of one route.
#[derive(Debug)]
pub struct Captures {
    route: Arc<str>,
    sampler: Sampler,
    max_body: usize,
    /// For bodies of requests under way: as much again as may wait.
    room: Arc<Room>,
    records: Outbox<Record>,
}

impl Captures {
    /// Fails with INVALID_ARGUMENT, and the field of the configuration that is wrong in front.
    pub fn new(route: &str, config: &Capture) -> Result<Self, Error> {
        let or = |bytes: u64, default| match usize::try_from(bytes).unwrap_or(usize::MAX) {
            0 => default,
            bytes => bytes,
        };
        let capacity = or(config.queue_bytes, QUEUE);
        let pace = Pace { capacity, batch: (capacity / BATCHES).max(1), delay: DELAY };
        Ok(Self {
            route: route.into(),
            sampler: Sampler::new(config.sample_rate)?,
            max_body: or(config.max_body_bytes, MAX_BODY),
            room: Room::new(capacity),
            records: Outbox::weighing(pace, Record::weight),
        })
    }

    /// A record for a request that arrives now (nanoseconds since 1970), if it is one of the sample. `random`
    /// is asked for where the request belongs to no trace.
    pub fn begin(&self, now: u64, trace: Option<u128>, random: impl FnOnce() -> u64) -> Option<Record> {
        self.sampler.takes(trace, random).then(|| {
            let body = || Body::new(&self.room, self.max_body);
            let record = Record::new(now, self.route.clone(), body(), body());
            Record { trace_id: trace, ..record }
        })
    }

    /// Puts a record on its way, or drops it and counts that if the queue is full.
    pub fn post(&self, mut record: Record) {
        record.leave_room();
        self.records.post([record]);
    }

    /// The next records, each a serialised `infermesh.capture.v1.Record`; empty if there are none within
    /// `patience`.
    pub fn take(&self, patience: Duration) -> Vec<Vec<u8>> {
        self.records.take(patience).into_iter().map(Record::encode).collect()
    }

    /// From now on `take` returns at once.
    pub fn flush(&self) {
        self.records.flush();
    }

    /// Records that were taken, whatever became of them.
    pub fn taken(&self) -> u64 {
        self.records.taken()
    }

    /// Records that did not fit.
    pub fn dropped(&self) -> u64 {
        self.records.dropped()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::proto;
    use bytes::Bytes;
    use prost::Message;

    fn captures(config: Capture) -> Captures {
        Captures::new("orders", &Capture { sample_rate: 1.0, ..config }).unwrap()
    }

    fn taken(captures: &Captures) -> Vec<proto::Record> {
        captures.flush();
        let decode = |bytes: Vec<u8>| proto::Record::decode(&bytes[..]).unwrap();
        std::iter::from_fn(|| Some(captures.take(Duration::ZERO)).filter(|batch| !batch.is_empty()))
            .flatten()
            .map(decode)
            .collect()
    }

    #[test]
    fn a_record_says_what_passed() {
        let captures = captures(Capture { max_body_bytes: 8, ..Default::default() });
        let mut record = captures.begin(5, Some(0xabc), || 0).unwrap();
        record.model = "fraud".into();
        record.grpc_status = Some(0);
        record.latency = Duration::from_millis(2);
        record.request.content_type = "application/grpc".into();
        record.request.push(&Bytes::from_static(b"four"));
        record.response.push(&Bytes::from_static(b"0123456789"));
        captures.post(record);
        let record = taken(&captures).remove(0);
        let expected = proto::Record {
            time_unix_nano: 5,
            route: "orders".into(),
            model: "fraud".into(),
            trace_id: "00000000000000000000000000000abc".into(),
            grpc_status: Some(0),
            latency_ns: 2_000_000,
            request: Some(proto::Body {
                data: b"four".to_vec(),
                size: 4,
                content_type: "application/grpc".into(),
                ..Default::default()
            }),
            response: Some(proto::Body {
                data: b"01234567".to_vec(),
                size: 10,
                truncated: true,
                ..Default::default()
            }),
            ..Default::default()
        };
        assert_eq!(record, expected);
        assert_eq!(captures.taken(), 1);
    }

    #[test]
    fn the_queue_is_bounded_in_bytes() {
        let captures = captures(Capture { queue_bytes: 10_000, ..Default::default() });
        for _ in 0..3 {
            let mut record = captures.begin(0, None, || 0).unwrap();
            record.request.push(&Bytes::from(vec![0; 4000]));
            captures.post(record);
        }
        assert_eq!((captures.dropped(), taken(&captures).len()), (1, 2));
    }

    #[test]
    fn requests_under_way_are_bounded_too() {
        let captures = captures(Capture { queue_bytes: 10_000, ..Default::default() });
        let mut under_way: Vec<Record> = (0..4).map(|_| captures.begin(0, None, || 0).unwrap()).collect();
        for record in &mut under_way {
            record.request.push(&Bytes::from(vec![0; 4000]));
        }
        assert!(!under_way[1].request.is_full() && under_way[3].request.is_full());
        drop(under_way);
        let mut record = captures.begin(0, None, || 0).unwrap();
        record.request.push(&Bytes::from(vec![0; 4000]));
        assert!(!record.request.is_full());
    }

    #[test]
    fn only_the_sample_has_records() {
        let captures = Captures::new("orders", &Capture { sample_rate: 0.25, ..Default::default() }).unwrap();
        assert!(
            captures.begin(0, Some(0), || 0).is_none() && captures.begin(0, Some(u128::MAX), || 0).is_some()
        );
        assert!(Captures::new("orders", &Capture { sample_rate: 2.0, ..Default::default() }).is_err());
    }
}
