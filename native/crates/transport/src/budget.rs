//! Memory that requests may take, in all: from the first byte of a request to the last of its answer.
//!
//! Each network thread takes from the common account in chunks, so that a small request costs no atomic operation.

use infermesh_wire::Error;
use std::{
    cell::Cell,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// What a thread takes ahead for small requests, at most.
const CHUNK: usize = 1 << 20;

/// The account of a process, in bytes.
#[derive(Debug)]
pub struct Budget {
    /// New requests are admitted up to here; answers may go beyond.
    admitted: usize,
    chunk: usize,
    used: AtomicUsize,
}

impl Budget {
    /// Admits requests up to 95 % of the limit.
    pub fn new(limit: usize) -> Self {
        Self { admitted: limit / 20 * 19, chunk: CHUNK.min(limit / 64), used: AtomicUsize::new(0) }
    }

    fn take(&self, bytes: usize) -> bool {
        let taken = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.admitted);
        self.used.fetch_update(Relaxed, Relaxed, taken).is_ok()
    }
}

/// A network thread's part of the account.
#[derive(Debug)]
pub struct Purse {
    budget: Arc<Budget>,
    /// Taken from the account and not in use.
    credit: Cell<usize>,
}

impl Purse {
    pub fn new(budget: Arc<Budget>) -> Rc<Self> {
        Rc::new(Self { budget, credit: Cell::new(0) })
    }

    /// Fails with RESOURCE_EXHAUSTED if there is not so much left; that may change any moment.
    fn take(&self, bytes: usize) -> Result<(), Error> {
        if let Some(left) = self.credit.get().checked_sub(bytes) {
            self.credit.set(left);
            return Ok(());
        }
        let missing = bytes - self.credit.get();
        if self.budget.take(missing + self.budget.chunk) {
            self.credit.set(self.budget.chunk);
        } else if self.budget.take(missing) {
            self.credit.set(0);
        } else {
            return Err(self.refused(bytes));
        }
        Ok(())
    }

    /// As `take`, for what exists already: it counts against those who come after.
    fn take_anyway(&self, bytes: usize) {
        let missing = bytes.saturating_sub(self.credit.get());
        self.credit.set(self.credit.get().saturating_sub(bytes));
        if missing > 0 {
            self.budget.used.fetch_add(missing, Relaxed);
        }
    }

    fn give_back(&self, bytes: usize) {
        let credit = self.credit.get() + bytes;
        let kept = if credit > 4 * self.budget.chunk { self.budget.chunk } else { credit };
        if credit > kept {
            self.budget.used.fetch_sub(credit - kept, Relaxed);
        }
        self.credit.set(kept);
    }

    fn refused(&self, bytes: usize) -> Error {
        Error::overloaded(format!(
            "requests under way take {} of {} bytes of memory, which leaves no room for {bytes} more; try again later",
            self.budget.used.load(Relaxed),
            self.budget.admitted,
        ))
    }

    /// Says no to a request of so many bytes before any of them is taken, if they could not all be.
    fn check(&self, bytes: usize) -> Result<(), Error> {
        let left = self.budget.admitted.saturating_sub(self.budget.used.load(Relaxed));
        if bytes > left + self.credit.get() { Err(self.refused(bytes)) } else { Ok(()) }
    }
}

/// Bytes of one request; given back when it is dropped.
#[derive(Debug)]
pub struct Hold {
    purse: Rc<Purse>,
    bytes: usize,
}

impl Hold {
    pub fn none(purse: &Rc<Purse>) -> Self {
        Self { purse: purse.clone(), bytes: 0 }
    }

    /// For what exists already, and is never refused.
    pub fn of(purse: &Rc<Purse>, bytes: usize) -> Self {
        purse.take_anyway(bytes);
        Self { purse: purse.clone(), bytes }
    }

    /// Fails with RESOURCE_EXHAUSTED, and holds what it held.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Error> {
        self.purse.take(bytes)?;
        self.bytes += bytes;
        Ok(())
    }

    /// Fails with RESOURCE_EXHAUSTED if a request of so many bytes has no room.
    pub fn check(&self, bytes: usize) -> Result<(), Error> {
        self.purse.check(bytes)
    }

    /// What it held, apart from it.
    pub fn take(&mut self) -> Self {
        Self { purse: self.purse.clone(), bytes: std::mem::take(&mut self.bytes) }
    }

    /// Gives back what it held.
    pub fn release(&mut self) {
        self.purse.give_back(std::mem::take(&mut self.bytes));
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.purse.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use infermesh_wire::Code;

    #[test]
    fn requests_are_refused_at_95_percent_and_admitted_when_others_end() {
        let budget = Arc::new(Budget::new(100_000));
        let (here, there) = (Purse::new(budget.clone()), Purse::new(budget));
        let (mut first, mut second) = (Hold::none(&here), Hold::none(&there));
        first.grow(90_000).unwrap();
        let refused = second.grow(6_000).unwrap_err();
        assert_eq!(refused.code, Code::ResourceExhausted);
        assert!(refused.transient);
        assert!(second.check(6_000).is_err());
        second.grow(1_000).unwrap();
        drop(first);
        second.grow(80_000).unwrap();
    }

    #[test]
    fn what_is_given_back_is_the_others_again() {
        let budget = Arc::new(Budget::new(1 << 20));
        let (here, there) = (Purse::new(budget.clone()), Purse::new(budget.clone()));
        for _ in 0..100 {
            for purse in [&here, &there] {
                let mut hold = Hold::none(purse);
                hold.grow(900_000).unwrap();
            }
        }
        for size in (0..100_000).step_by(77) {
            let mut hold = Hold::none(&here);
            hold.grow(size).unwrap();
        }
        drop((here, there));
        assert!(budget.used.load(Relaxed) <= 8 * budget.chunk);
    }

    #[test]
    fn answers_count_although_they_are_never_refused() {
        let purse = Purse::new(Arc::new(Budget::new(100_000)));
        let answer = Hold::of(&purse, 500_000);
        assert!(Hold::none(&purse).grow(1).is_err());
        drop(answer);
        assert!(Hold::none(&purse).grow(1).is_ok());
    }
}
