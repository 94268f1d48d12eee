//! A request of the sample, while it passes.

use super::{captures::Captures, record::Record};
use bytes::Bytes;
use http::HeaderMap;
use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

/// What is kept of a request: shared by its body, which may still pass when the answer does, and whoever follows that.
#[derive(Debug, Clone)]
pub struct Passing(Rc<Kept>);

#[derive(Debug)]
struct Kept {
    captures: Arc<Captures>,
    /// None once it has ended.
    record: RefCell<Option<Record>>,
}

impl Passing {
    pub(super) fn new(captures: Arc<Captures>, record: Record) -> Self {
        Self(Rc::new(Kept { captures, record: RefCell::new(Some(record)) }))
    }

    /// Says of a request under way what is known beside its bodies.
    pub fn describe(&self, say: impl FnOnce(&mut Record)) {
        if let Some(record) = &mut *self.0.record.borrow_mut() {
            say(record);
        }
    }

    /// The next part of the request's body.
    pub fn asks(&self, data: &Bytes) {
        self.describe(|record| record.request.push(data));
    }

    /// The head of the answer.
    pub fn answered(&self, status: u16, headers: &HeaderMap) {
        self.describe(|record| {
            record.http_status = status;
            record.response.describe(headers);
        });
    }

    /// The next part of the answer's body.
    pub fn says(&self, data: &Bytes) {
        self.describe(|record| record.response.push(data));
    }

    /// The answer has ended, or will not.
    pub fn end(&self, grpc_status: Option<u16>, latency: Duration) {
        let record = self.0.record.borrow_mut().take();
        if let Some(record) = record {
            let grpc_status = grpc_status.map(u32::from);
            self.0.captures.post(Record { grpc_status, latency, ..record });
        }
    }
}
