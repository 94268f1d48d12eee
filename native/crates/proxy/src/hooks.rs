//! Functions in Python that requests wait for: calls in a bounded queue, taken by whoever runs them, several at a time.

use infermesh_wire::{Code, Error};
use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// Calls that may wait.
const CAPACITY: usize = 1024;

/// Calls that are taken at once.
const BATCH: usize = 64;

#[derive(Default)]
pub struct Hooks {
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Hook>,
    /// Nobody takes calls any more.
    closed: bool,
}

/// One call, in JSON.
pub struct Hook {
    pub call: Vec<u8>,
    reply: oneshot::Sender<Vec<u8>>,
}

impl Hook {
    /// Whether somebody still waits for it.
    pub fn is_wanted(&self) -> bool {
        !self.reply.is_closed()
    }

    /// Whoever waited for it may have given up.
    pub fn reply(self, reply: Vec<u8>) {
        let _ = self.reply.send(reply);
    }
}

impl Hooks {
    /// Waits for the reply to a call. Fails with RESOURCE_EXHAUSTED if too many wait already, UNAVAILABLE if nobody takes it.
    pub async fn ask(&self, call: Vec<u8>) -> Result<Vec<u8>, Error> {
        let gone = || Error::new(Code::Unavailable, "the functions of this proxy are not run any more");
        let (reply, replied) = oneshot::channel();
        {
            let mut state = self.lock();
            if state.closed {
                return Err(gone());
            }
            if state.waiting.len() >= CAPACITY {
                state.waiting.retain(Hook::is_wanted);
            }
            if state.waiting.len() >= CAPACITY {
                return Err(Error::overloaded(format!("{CAPACITY} calls of Python functions wait already")));
            }
            state.waiting.push_back(Hook { call, reply });
        }
        self.news.notify_one();
        replied.await.map_err(|_| gone())
    }

    /// The next calls; none if none comes within `patience`. Blocks.
    pub fn take(&self, patience: Duration) -> Vec<Hook> {
        let until = Instant::now() + patience.min(Duration::from_secs(3600));
        let mut state = self.lock();
        loop {
            state.waiting.retain(Hook::is_wanted);
            let count = state.waiting.len().min(BATCH);
            if count > 0 || state.closed {
                return state.waiting.drain(..count).collect();
            }
            let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
            else {
                return Vec::new();
            };
            state = self.news.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Nobody takes calls any more: those that wait fail, `take` returns at once.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.waiting.clear();
        drop(state);
        self.news.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::Arc, thread};

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(future)
    }

    #[test]
    fn a_call_is_answered_by_whoever_takes_it() {
        let hooks = Arc::new(Hooks::default());
        let taker = hooks.clone();
        let python = thread::spawn(move || {
            for hook in taker.take(Duration::from_secs(10)) {
                let reply = [&hook.call[..], b"!"].concat();
                hook.reply(reply);
            }
        });
        assert_eq!(block_on(hooks.ask(b"call".to_vec())).unwrap(), b"call!");
        python.join().unwrap();
    }

    #[test]
    fn what_nobody_waits_for_is_not_handed_out() {
        let hooks = Hooks::default();
        block_on(async {
            let asked = hooks.ask(b"given up".to_vec());
            assert!(tokio::time::timeout(Duration::ZERO, asked).await.is_err());
        });
        assert!(hooks.take(Duration::ZERO).is_empty());
    }

    #[test]
    fn no_more_wait_than_there_is_room_for() {
        let hooks = Hooks::default();
        block_on(async {
            let waiting: Vec<_> = (0..CAPACITY).map(|_| Box::pin(hooks.ask(Vec::new()))).collect();
            let mut all = futures_util::future::join_all(waiting);
            let context = &mut std::task::Context::from_waker(std::task::Waker::noop());
            assert!(std::pin::Pin::new(&mut all).poll(context).is_pending());
            assert_eq!(hooks.ask(Vec::new()).await.unwrap_err().code, Code::ResourceExhausted);
            hooks.close();
            assert!(all.await.iter().all(Result::is_err));
            assert_eq!(hooks.ask(Vec::new()).await.unwrap_err().code, Code::Unavailable);
        });
    }
}
