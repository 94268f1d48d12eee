//! How many requests an ensemble has under way, and whether it takes more.

use infermesh_wire::{Code, Error};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
pub struct Admission {
    state: Mutex<State>,
    empty: Condvar,
}

#[derive(Debug, Default)]
struct State {
    under_way: usize,
    closed: bool,
}

impl Admission {
    /// Lets a request in, which must `leave`. Fails with UNAVAILABLE if the ensemble is being unloaded.
    pub fn enter(&self) -> Result<(), Error> {
        let mut state = self.lock();
        if state.closed {
            return Err(Error::new(Code::Unavailable, "the model is being unloaded"));
        }
        state.under_way += 1;
        Ok(())
    }

    pub fn leave(&self) {
        let mut state = self.lock();
        state.under_way -= 1;
        if state.closed && state.under_way == 0 {
            self.empty.notify_all();
        }
    }

    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Lets nothing more in and waits until everything has left.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        while state.under_way > 0 {
            state = self.empty.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
