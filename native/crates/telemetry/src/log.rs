//! Records for the process's log, which Python writes: the request path never waits for a terminal or a disk.

use crate::outbox::{Outbox, Pace};
use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
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
