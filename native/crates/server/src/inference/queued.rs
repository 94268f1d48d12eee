//! A request in its model's queue, and the wait for its answer.

use crate::models::Version;
use infermesh_batcher::{Answer, Drive, Expiry, Failure, Outcome, Request};
use infermesh_wire::{Code, Error};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::{
    sync::oneshot,
    task::{spawn_local, yield_now},
    time::{Sleep, sleep_until},
};

pub struct Queued {
    answer: oneshot::Receiver<Outcome>,
    expiry: Option<Expiry>,
    alarm: Alarm,
    /// What becomes of the request if it is dropped now; `None` once the batcher has counted it.
    failure: Option<Failure>,
}

/// Rings at the request's expiry. Boxed: most requests have none.
enum Alarm {
    Unset,
    On(Pin<Box<Sleep>>),
    /// It has rung.
    Off,
}

impl Queued {
    /// `answer` is the receiving end of the request's reply.
    pub fn submit(
        version: &Arc<Version>,
        request: Request,
        answer: oneshot::Receiver<Outcome>,
        priority: u64,
        timeout: Option<Duration>,
    ) -> Result<Self, Error> {
        let expiry = schedule(version, request, priority, timeout)?;
        Ok(Self { answer, expiry, alarm: Alarm::Unset, failure: Some(Failure::Canceled) })
    }

    /// Not to be asked again once it has answered.
    pub fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<Result<Answer, Error>> {
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
        let alarm = match &mut self.alarm {
            Alarm::Off => return false,
            Alarm::On(alarm) => alarm,
            unset => {
                *unset = Alarm::On(Box::pin(sleep_until(expiry.at.into())));
                let Alarm::On(alarm) = unset else { return false };
                alarm
            }
        };
        if alarm.as_mut().poll(context).is_pending() {
            return false;
        }
        self.alarm = Alarm::Off;
        expiry.claim()
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

/// Hands a request to its model's scheduler; returns when it will have waited too long for an instance.
pub fn schedule(
    version: &Arc<Version>,
    mut request: Request,
    priority: u64,
    timeout: Option<Duration>,
) -> Result<Option<Expiry>, Error> {
    let scheduler =
        version.scheduler().ok_or_else(|| Error::internal("an ensemble has no queue of its own"))?;
    scheduler.policy().place(&mut request, priority, timeout);
    let expiry = request.expiry.clone();
    if scheduler.submit(request)? == Drive::Here {
        spawn_local(drive(version.clone()));
    }
    Ok(expiry)
}

/// Runs after every task that is ready now, so that all requests read in this turn share the batch.
async fn drive(version: Arc<Version>) {
    let Some(scheduler) = version.scheduler() else { return };
    while scheduler.run_here() == Drive::Here {
        yield_now().await;
    }
}

/// What is said to a request that has waited too long for an instance.
pub fn expired() -> Error {
    Error::new(Code::Unavailable, "Request timeout expired")
}
