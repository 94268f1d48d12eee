//! A request in its model's queue, and the wait for its answer.

use super::promise::Promise;
use crate::models::Version;
use infermesh_batcher::{Answer, Drive, Expiry, Failure, Outcome, Request};
use infermesh_wire::Error;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::{
    sync::oneshot,
    time::{Sleep, sleep_until},
};

pub struct Queued {
    answer: oneshot::Receiver<Outcome>,
    expiry: Option<Expiry>,
    promise: Option<Promise>,
    /// Rings at the expiry. Boxed: most requests have none.
    alarm: Option<Pin<Box<Sleep>>>,
    /// What becomes of the request if it is dropped now; `None` once the batcher has counted it.
    failure: Option<Failure>,
}

impl Queued {
    /// `answer` is the receiving end of the request's reply.
    pub fn submit(
        version: &Arc<Version>,
        request: Request,
        answer: oneshot::Receiver<Outcome>,
        priority: u64,
        timeout: Option<Duration>,
        has_own_task: bool,
    ) -> Result<Self, Error> {
        let (expiry, promise) = schedule(version, request, priority, timeout)?;
        // A promise that is let go is kept all the same.
        let promise = promise.filter(|_| has_own_task);
        Ok(Self { answer, expiry, promise, alarm: None, failure: Some(Failure::Canceled) })
    }

    /// Not to be asked again once it has answered.
    pub fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<Result<Answer, Error>> {
        if self.promise.as_mut().is_some_and(|promise| promise.poll(context).is_ready()) {
            self.promise = None;
        }
        match Pin::new(&mut self.answer).poll(context) {
            Poll::Ready(Ok(outcome)) => {
                self.failure = None;
                Poll::Ready(outcome)
            }
            // The batcher drops a request without an answer only when it is too late for it.
            Poll::Ready(Err(_)) if self.expiry.as_ref().is_some_and(|expiry| expiry.at <= Instant::now()) => {
                Poll::Ready(Err(self.expire()))
            }
            Poll::Ready(Err(_)) => Poll::Ready(Err(Error::deadline_exceeded())),
            Poll::Pending if self.is_overdue(context) => Poll::Ready(Err(self.expire())),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Whether it has waited too long, and no instance has taken it.
    fn is_overdue(&mut self, context: &mut Context<'_>) -> bool {
        let Some(expiry) = &self.expiry else { return false };
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(expiry.at.into())));
        // Whatever has been taken stays taken, however often this is asked.
        alarm.as_mut().poll(context).is_ready() && expiry.claim()
    }

    fn expire(&mut self) -> Error {
        self.failure = Some(Failure::Rejected);
        expired()
    }

    /// What became of a request that is dropped, unless the batcher has counted it.
    pub fn uncounted(&mut self) -> Option<Failure> {
        self.failure.filter(|_| self.answer.try_recv().is_err())
    }
}

/// Hands a request to its model's scheduler; returns when it will have waited too long for an instance, and what was
/// promised for it to run.
pub fn schedule(
    version: &Arc<Version>,
    mut request: Request,
    priority: u64,
    timeout: Option<Duration>,
) -> Result<(Option<Expiry>, Option<Promise>), Error> {
    let scheduler =
        version.scheduler().ok_or_else(|| Error::internal("an ensemble has no queue of its own"))?;
    scheduler.policy().place(&mut request, priority, timeout);
    let expiry = request.expiry.clone();
    let drive = scheduler.submit(request)?;
    Ok((expiry, (drive == Drive::Here).then(|| Promise::new(version.clone()))))
}

/// What is said to a request that has waited too long for an instance.
pub fn expired() -> Error {
    Error::busy("Request timeout expired")
}
