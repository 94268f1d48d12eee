//! Memory for bodies that are kept in case they have to be sent again: a limit for each request and one for
//! all.
//!
//! Tensors are large: where others keep 64 KiB to 1 MiB, and so retry no inference, a request may keep 16 MiB
//! here. What does not fit is sent once.

use crate::settings::{self, Checked};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Bytes of one request.
    pub per_request: usize,
    /// Bytes of all requests together.
    pub total: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { per_request: 16 << 20, total: 256 << 20 }
    }
}

impl Settings {
    pub fn check(&self) -> Checked {
        let expected = format!("no more than total, which is {}", self.total);
        settings::holds("per_request", self.per_request, &expected, self.per_request <= self.total)
    }
}

/// What all requests have together.
#[derive(Debug)]
pub struct Pool {
    settings: Settings,
    used: AtomicUsize,
}

impl Pool {
    pub fn new(settings: Settings) -> Arc<Self> {
        Arc::new(Self { settings, used: AtomicUsize::new(0) })
    }

    /// For one request; it begins with nothing.
    pub fn share(self: &Arc<Self>) -> Share {
        Share { pool: Some(self.clone()), bytes: 0 }
    }

    /// Bytes that are kept.
    pub fn used(&self) -> usize {
        self.used.load(Relaxed)
    }

    fn take(&self, bytes: usize) -> bool {
        let taken = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.settings.total);
        self.used.fetch_update(Relaxed, Relaxed, taken).is_ok()
    }
}

/// What one request keeps; given back when it is dropped. The default is of no pool and refuses to grow: for
/// requests that are never sent again.
#[derive(Debug, Default)]
pub struct Share {
    pool: Option<Arc<Pool>>,
    bytes: usize,
}

impl Share {
    /// Whether there was room for so many bytes more. If not, it holds what it held.
    pub fn grow(&mut self, bytes: usize) -> bool {
        let Some(pool) = &self.pool else { return false };
        let fits = self.bytes.checked_add(bytes).is_some_and(|bytes| bytes <= pool.settings.per_request);
        let grown = fits && pool.take(bytes);
        if grown {
            self.bytes += bytes;
        }
        grown
    }

    /// Gives everything back: the request will not be sent again, or its body is gone.
    pub fn release(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        if let Some(pool) = &self.pool {
            pool.used.fetch_sub(bytes, Relaxed);
        }
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(per_request: usize, total: usize) -> Arc<Pool> {
        Pool::new(Settings { per_request, total })
    }

    #[test]
    fn a_request_keeps_no_more_than_its_limit() {
        let pool = pool(10, 100);
        let mut share = pool.share();
        assert!(share.grow(6) && share.grow(4));
        assert!(!share.grow(1) && !share.grow(usize::MAX));
        assert_eq!((share.bytes(), pool.used()), (10, 10));
    }

    #[test]
    fn all_together_keep_no_more_than_theirs() {
        let pool = pool(10, 25);
        let mut shares: Vec<Share> = (0..3).map(|_| pool.share()).collect();
        assert!(shares[0].grow(10) && shares[1].grow(10));
        assert!(!shares[2].grow(6));
        assert!(shares[2].grow(5));
        drop(shares.swap_remove(0));
        assert!(shares.iter_mut().any(|share| share.grow(5)));
    }

    #[test]
    fn what_is_released_or_dropped_comes_back_once() {
        let pool = pool(10, 10);
        let mut share = pool.share();
        assert!(share.grow(10));
        share.release();
        share.release();
        assert_eq!((share.bytes(), pool.used()), (0, 0));
        assert!(share.grow(3));
        drop(share);
        assert_eq!(pool.used(), 0);
    }

    #[test]
    fn a_share_of_nothing_refuses_to_grow() {
        let mut share = Share::default();
        assert!(!share.grow(1) && !share.grow(0));
        share.release();
        assert_eq!(share.bytes(), 0);
    }

    #[test]
    fn threads_never_exceed_the_total_together() {
        let pool = pool(7, 50);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        let mut share = pool.share();
                        share.grow(7);
                        assert!(pool.used() <= 50);
                    }
                });
            }
        });
        assert_eq!(pool.used(), 0);
    }

    #[test]
    fn a_request_has_no_more_than_all() {
        let bad = Settings { per_request: 2, total: 1 };
        assert_eq!(bad.check(), Err("per_request is 2: expected no more than total, which is 1".into()));
        assert_eq!(Settings::default().check(), Ok(()));
    }
}
