//! Records for the process's log, which Python writes: the request path never waits for a terminal or a disk.

use crate::outbox::{Outbox, Pace};
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// Records that may wait for the writer, and how many it gets at once.
const PACE: Pace = Pace { capacity: 4096, batch: 256, delay: Duration::ZERO };

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Error,
    Warning,
    Info,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Text(String),
    Signed(i64),
    Unsigned(u64),
    Bool(bool),
    List(Vec<String>),
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Signed(value)
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Unsigned(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

/// What a record says about the traces it belongs to: `trace.id` and `span.id` of one, `trace.ids` of several.
pub fn trace_fields(spans: impl ExactSizeIterator<Item = (u128, u64)>) -> Vec<(&'static str, Value)> {
    let several = spans.len() > 1;
    let mut ids = Vec::new();
    for (trace, span) in spans {
        let trace = format!("{trace:032x}");
        if !several {
            return vec![("trace.id", trace.into()), ("span.id", format!("{span:016x}").into())];
        }
        if !ids.contains(&trace) {
            ids.push(trace);
        }
    }
    if ids.is_empty() { Vec::new() } else { vec![("trace.ids", Value::List(ids))] }
}

/// Lets so many records of a kind through in each second, for what can happen at the rate of requests.
#[derive(Debug)]
pub struct Throttle {
    per_second: u32,
    state: Mutex<Window>,
}

#[derive(Debug, Default)]
struct Window {
    since: Option<Instant>,
    admitted: u32,
    skipped: u64,
}

impl Throttle {
    pub fn new(per_second: u32) -> Self {
        Self { per_second, state: Mutex::default() }
    }

    /// Whether to write a record now, and how many were not written since the last one.
    pub fn admit(&self) -> Option<u64> {
        self.admit_at(Instant::now())
    }

    fn admit_at(&self, now: Instant) -> Option<u64> {
        let mut window = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if window.since.is_none_or(|since| now.duration_since(since) >= Duration::from_secs(1)) {
            (window.since, window.admitted) = (Some(now), 0);
        }
        if window.admitted == self.per_second {
            window.skipped += 1;
            return None;
        }
        window.admitted += 1;
        Some(std::mem::take(&mut window.skipped))
    }
}

#[derive(Debug)]
pub struct Record {
    pub at: Instant,
    pub level: Level,
    /// ECS `event.action`.
    pub action: &'static str,
    pub message: String,
    /// By their ECS names.
    pub fields: Vec<(&'static str, Value)>,
}

#[derive(Debug)]
pub struct Log {
    records: Outbox<Record>,
    accesses: AtomicBool,
}

impl Default for Log {
    fn default() -> Self {
        Self { records: Outbox::new(PACE), accesses: AtomicBool::new(false) }
    }
}

impl Log {
    /// Something that this process cannot do and should.
    pub fn error(
        &self,
        action: &'static str,
        message: impl Into<String>,
        fields: impl IntoIterator<Item = (&'static str, Value)>,
    ) {
        self.write(Level::Error, action, message, fields);
    }

    /// Something that an operator should look at.
    pub fn warning(
        &self,
        action: &'static str,
        message: impl Into<String>,
        fields: impl IntoIterator<Item = (&'static str, Value)>,
    ) {
        self.write(Level::Warning, action, message, fields);
    }

    pub fn info(
        &self,
        action: &'static str,
        message: impl Into<String>,
        fields: impl IntoIterator<Item = (&'static str, Value)>,
    ) {
        self.write(Level::Info, action, message, fields);
    }

    fn write(
        &self,
        level: Level,
        action: &'static str,
        message: impl Into<String>,
        fields: impl IntoIterator<Item = (&'static str, Value)>,
    ) {
        let (message, fields) = (message.into(), fields.into_iter().collect());
        self.records.post([Record { at: Instant::now(), level, action, message, fields }]);
    }

    /// The next records; empty if none comes within `patience`.
    pub fn take(&self, patience: Duration) -> Vec<Record> {
        self.records.take(patience)
    }

    /// From now on `take` returns at once.
    pub fn flush(&self) {
        self.records.flush();
    }

    /// Records that did not fit.
    pub fn dropped(&self) -> u64 {
        self.records.dropped()
    }

    /// Whether every request gets a record.
    pub fn accesses(&self) -> bool {
        self.accesses.load(Relaxed)
    }

    pub fn set_accesses(&self, wanted: bool) {
        self.accesses.store(wanted, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_skipped_is_counted() {
        let (throttle, start) = (Throttle::new(2), Instant::now());
        let admitted = [0, 1, 2, 999, 1000].map(|ms| throttle.admit_at(start + Duration::from_millis(ms)));
        assert_eq!(admitted, [Some(0), Some(0), None, None, Some(2)]);
    }

    #[test]
    fn one_trace_has_a_name_and_several_have_a_list() {
        assert!(trace_fields([].into_iter()).is_empty());
        let one = trace_fields([(10, 11)].into_iter());
        assert_eq!(one[1], ("span.id", "000000000000000b".into()));
        let [("trace.ids", Value::List(ids))] = &trace_fields([(1, 2), (1, 3), (4, 5)].into_iter())[..]
        else {
            panic!("a list");
        };
        assert_eq!(ids.len(), 2);
    }

    #[test]
    fn a_record_waits_for_its_writer() {
        let log = Log::default();
        log.warning("peer-refused", "too much", [("client.address", "::1".into()), ("bytes", 7u64.into())]);
        let [record] = &log.take(Duration::ZERO)[..] else { panic!("one record") };
        assert_eq!(
            (record.level, record.action, &record.message[..]),
            (Level::Warning, "peer-refused", "too much")
        );
        assert_eq!(record.fields, [("client.address", "::1".into()), ("bytes", Value::Unsigned(7))]);
        assert!(log.take(Duration::ZERO).is_empty());
    }
}
