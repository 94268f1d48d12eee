//! Which traces the batch that runs on this thread belongs to, for backends that log.

use crate::Request;
use std::cell::RefCell;

/// The span that a request is recorded in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceIds {
    pub trace: u128,
    pub span: u64,
}

thread_local! {
    static CURRENT: RefCell<Vec<TraceIds>> = const { RefCell::new(Vec::new()) };
}

/// Of the batch under way on this thread, one for each request that is traced; mostly none.
pub fn current() -> Vec<TraceIds> {
    CURRENT.with_borrow(Vec::clone)
}

/// Runs `work`, which must not unwind, as part of the batch's traces.
pub(crate) fn during<T>(batch: &[Request], work: impl FnOnce() -> T) -> T {
    if batch.iter().all(|request| request.trace.is_none()) {
        return work();
    }
    CURRENT.set(batch.iter().filter_map(|request| request.trace).collect());
    let done = work();
    CURRENT.set(Vec::new());
    done
}
