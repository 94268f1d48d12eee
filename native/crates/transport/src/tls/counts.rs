//! How handshakes ended, in numbers.

use super::{
    failure::{Reason, Why},
    handshake::Secured,
};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

#[derive(Debug, Default)]
pub struct Handshakes {
    done: AtomicU64,
    resumed: AtomicU64,
    plaintext: AtomicU64,
    failed: [AtomicU64; Reason::ALL.len()],
}

/// At one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// Those that succeeded.
    pub done: u64,
    /// Of these, those that went on with an earlier session.
    pub resumed: u64,
    /// Connections without TLS, where both are taken.
    pub plaintext: u64,
    pub failed: [(Reason, u64); Reason::ALL.len()],
}

impl Handshakes {
    pub fn count<S>(&self, shaken: &Result<Secured<S>, Why>) {
        match shaken {
            Ok(secured) => {
                self.done.fetch_add(1, Relaxed);
                self.resumed.fetch_add(secured.resumed.into(), Relaxed);
            }
            Err(why) => self.count_failure(why),
        }
    }

    pub fn count_failure(&self, why: &Why) {
        self.failed[why.reason as usize].fetch_add(1, Relaxed);
    }

    pub fn count_plaintext(&self) {
        self.plaintext.fetch_add(1, Relaxed);
    }

    pub fn counts(&self) -> Counts {
        Counts {
            done: self.done.load(Relaxed),
            resumed: self.resumed.load(Relaxed),
            plaintext: self.plaintext.load(Relaxed),
            failed: Reason::ALL.map(|reason| (reason, self.failed[reason as usize].load(Relaxed))),
        }
    }
}
