//! Carries answers to the thread that awaits them with one wake-up per batch instead of one per request.

use crate::{Outcome, Reply};
use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    thread::{self, ThreadId},
};

type Letter = (Reply, Outcome);

/// A letter with its address.
pub type Posting = (Arc<Mailbox>, Reply, Outcome);

#[derive(Debug)]
pub struct Mailbox {
    owner: ThreadId,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    letters: Vec<Letter>,
    waker: Option<std::task::Waker>,
}

impl Mailbox {
    /// A mailbox of the calling thread.
    pub fn for_this_thread() -> Arc<Self> {
        Arc::new(Self { owner: thread::current().id(), inner: Mutex::default() })
    }

    /// Hands the letters out on the owner's thread; to be spawned there, never ends.
    pub async fn deliver(self: Arc<Self>) {
        let mut letters = Vec::new();
        std::future::poll_fn(|context| {
            {
                let mut inner = self.lock();
                mem::swap(&mut inner.letters, &mut letters);
                if !inner.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
                    inner.waker = Some(context.waker().clone());
                }
            }
            for letter in letters.drain(..) {
                letter.0.end(letter.1);
            }
            Poll::<()>::Pending
        })
        .await;
    }

    fn post(&self, mut letters: Vec<Letter>) {
        let waker = {
            let mut inner = self.lock();
            let was_empty = inner.letters.is_empty();
            inner.letters.append(&mut letters);
            if was_empty { inner.waker.clone() } else { None }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends a batch's answers: at once to this thread's own requests, by mailbox to the others'.
pub fn post_all(answers: impl Iterator<Item = Posting>) {
    let here = thread::current().id();
    let mut away: Vec<(Arc<Mailbox>, Vec<Letter>)> = Vec::new();
    for (mailbox, reply, outcome) in answers {
        if mailbox.owner == here {
            reply.end(outcome);
            continue;
        }
        match away.iter_mut().find(|entry| Arc::ptr_eq(&entry.0, &mailbox)) {
            Some(entry) => entry.1.push((reply, outcome)),
            None => away.push((mailbox, vec![(reply, outcome)])),
        }
    }
    for (mailbox, letters) in away {
        mailbox.post(letters);
    }
}
