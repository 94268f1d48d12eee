//! The sample of one route.

use super::{
    passing::Passing,
    queue::Queue,
    record::{Body, Record},
    room::{Room, Share},
    sampler::Sampler,
};
use crate::proto::Capture;
use infermesh_wire::Error;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

const MAX_BODY: usize = 1 << 20;
const QUEUE: usize = 16 << 20;

#[derive(Debug)]
pub struct Captures {
    route: Arc<str>,
    sampler: Sampler,
    max_body: usize,
    /// For bodies of requests under way: as much again as may wait.
    under_way: Arc<Room>,
    /// For records that wait for their writer.
    waiting: Arc<Room>,
    queue: Arc<Queue>,
    posted: AtomicU64,
    dropped: AtomicU64,
}

impl Captures {
    /// Fails with INVALID_ARGUMENT, and the field of the configuration that is wrong in front.
    pub fn new(route: &str, config: &Capture, queue: &Arc<Queue>) -> Result<Self, Error> {
        let capacity = capacity(config);
        Ok(Self {
            route: route.into(),
            sampler: Sampler::new(config.sample_rate)?,
            max_body: bytes_or(config.max_body_bytes, MAX_BODY),
            under_way: Room::new(capacity),
            waiting: Room::new(capacity),
            queue: queue.clone(),
            posted: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        })
    }

    /// What a request that arrives now (nanoseconds since 1970) is kept in while it passes, if it is one of the
    /// sample. `random` is asked for where the request belongs to no trace.
    pub fn begin(
        self: &Arc<Self>,
        now: u64,
        trace: Option<u128>,
        random: impl FnOnce() -> u64,
    ) -> Option<Passing> {
        self.sampler.takes(trace, random).then(|| {
            let body = || Body::new(&self.under_way, self.max_body);
            let record = Record::new(now, self.route.clone(), body(), body());
            Passing::new(self.clone(), Record { trace_id: trace, ..record })
        })
    }

    /// Puts a record on its way, or drops it and counts that if there is no room for it.
    pub(super) fn post(&self, mut record: Record) {
        record.settle();
        record.waits = Share::of(&self.waiting, record.weight());
        if record.waits.is_none() {
            self.dropped.fetch_add(1, Relaxed);
            return;
        }
        self.posted.fetch_add(1, Relaxed);
        self.queue.post(record);
    }

    /// Records that were put on their way.
    pub fn posted(&self) -> u64 {
        self.posted.load(Relaxed)
    }

    /// Records that did not fit.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}

/// Bytes of records that may wait.
pub fn capacity(config: &Capture) -> usize {
    bytes_or(config.queue_bytes, QUEUE)
}

fn bytes_or(bytes: u64, default: usize) -> usize {
    match usize::try_from(bytes).unwrap_or(usize::MAX) {
        0 => default,
        bytes => bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::proto;
    use bytes::Bytes;
    use http::HeaderMap;
    use prost::Message;
    use std::time::Duration;

    fn captures(config: Capture) -> (Arc<Captures>, Arc<Queue>) {
        let config = Capture { sample_rate: 1.0, ..config };
        let queue = Arc::new(Queue::new([&config]));
        (Arc::new(Captures::new("orders", &config, &queue).unwrap()), queue)
    }

    fn taken(queue: &Queue) -> Vec<proto::Record> {
        queue.flush();
        let decode = |bytes: Vec<u8>| proto::Record::decode(&bytes[..]).unwrap();
        std::iter::from_fn(|| Some(queue.take(Duration::ZERO)).filter(|batch| !batch.is_empty()))
            .flatten()
            .map(decode)
            .collect()
    }

    fn asked(captures: &Arc<Captures>, bytes: usize) -> Passing {
        let passing = captures.begin(0, None, || 0).unwrap();
        passing.asks(&Bytes::from(vec![0; bytes]));
        passing
    }

    #[test]
    fn a_record_says_what_passed() {
        let (captures, queue) = captures(Capture { max_body_bytes: 8, ..Default::default() });
        let passing = captures.begin(5, Some(0xabc), || 0).unwrap();
        passing.describe(|record| {
            record.model = "fraud".into();
            record.request.content_type = "application/grpc".into();
        });
        passing.asks(&Bytes::from_static(b"four"));
        passing.answered(200, &HeaderMap::new());
        passing.says(&Bytes::from_static(b"0123456789"));
        passing.end(Some(0), Duration::from_millis(2));
        // What comes after the end is of no interest any more.
        passing.asks(&Bytes::from_static(b"late"));
        let record = taken(&queue).remove(0);
        let expected = proto::Record {
            time_unix_nano: 5,
            route: "orders".into(),
            model: "fraud".into(),
            trace_id: "00000000000000000000000000000abc".into(),
            http_status: 200,
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
        assert_eq!((captures.posted(), captures.dropped()), (1, 0));
    }

    #[test]
    fn what_waits_is_bounded_in_bytes() {
        let (captures, queue) = captures(Capture { queue_bytes: 10_000, ..Default::default() });
        let post = |count: usize| {
            (0..count).for_each(|_| asked(&captures, 4000).end(None, Duration::ZERO));
        };
        post(3);
        assert_eq!((captures.dropped(), taken(&queue).len()), (1, 2));
        // What has been taken has left its room to others.
        post(2);
        assert_eq!((captures.dropped(), taken(&queue).len()), (1, 2));
    }

    #[test]
    fn routes_wait_for_one_writer_and_take_no_room_from_each_other() {
        let config = Capture { sample_rate: 1.0, queue_bytes: 6000, ..Default::default() };
        let queue = Arc::new(Queue::new([&config, &config]));
        let [orders, carts] =
            ["orders", "carts"].map(|route| Arc::new(Captures::new(route, &config, &queue).unwrap()));
        (0..2).for_each(|_| asked(&orders, 4000).end(None, Duration::ZERO));
        asked(&carts, 4000).end(None, Duration::ZERO);
        assert_eq!([orders.dropped(), carts.dropped()], [1, 0]);
        let routes: Vec<String> = taken(&queue).into_iter().map(|record| record.route).collect();
        assert_eq!(routes, ["orders", "carts"]);
    }

    #[test]
    fn requests_under_way_are_bounded_too() {
        let (captures, queue) = captures(Capture { queue_bytes: 10_000, ..Default::default() });
        let under_way: Vec<Passing> = (0..4).map(|_| asked(&captures, 4000)).collect();
        under_way[3].end(None, Duration::ZERO);
        let cut = taken(&queue).remove(0).request.unwrap();
        assert!(cut.truncated && cut.size == 4000, "{} of {}", cut.data.len(), cut.size);
        drop(under_way);
        asked(&captures, 4000).end(None, Duration::ZERO);
        assert!(!taken(&queue).remove(0).request.unwrap().truncated);
    }

    #[test]
    fn only_the_sample_has_records() {
        let config = Capture { sample_rate: 0.25, ..Default::default() };
        let queue = Arc::new(Queue::new([&config]));
        let captures = Arc::new(Captures::new("orders", &config, &queue).unwrap());
        assert!(captures.begin(0, Some(0), || 0).is_none());
        assert!(captures.begin(0, Some(u128::MAX), || 0).is_some());
        assert!(
            Captures::new("orders", &Capture { sample_rate: 2.0, ..Default::default() }, &queue).is_err()
        );
    }
}
