//! A request in its model's queue, and the wait for its answer.

use crate::models::Version;
use infermesh_batcher::{Answer, Drive, Expiry, Failure, Outcome, Request};
use infermesh_wire::{Code, Error};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::oneshot,
    task::{spawn_local, yield_now},
    time::sleep_until,
};

pub struct Queued {
    answer: oneshot::Receiver<Outcome>,
    expiry: Option<Expiry>,
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
    ) -> Result<Self, Error> {
        let expiry = schedule(version, request, priority, timeout)?;
        Ok(Self { answer, expiry, failure: Some(Failure::Canceled) })
    }

    pub async fn answer(&mut self) -> Result<Answer, Error> {
        let Self { answer, expiry, failure } = self;
        let received = match expiry {
            None => answer.await,
            Some(expiry) => match Box::pin(before(answer, expiry)).await {
                Some(received) => received,
                None => {
                    *failure = Some(Failure::Rejected);
                    return Err(expired());
                }
            },
        };
        match (received, expiry) {
            (Ok(outcome), _) => {
                *failure = None;
                outcome
            }
            // The batcher drops a request without an answer only when it is too late for it.
            (Err(_), Some(expiry)) if expiry.at <= Instant::now() => {
                *failure = Some(Failure::Rejected);
                Err(expired())
            }
            (Err(_), _) => Err(Error::deadline_exceeded()),
        }
    }

    /// What became of a request that is dropped, unless the batcher has counted it.
    pub fn uncounted(&mut self) -> Option<Failure> {
        self.failure.filter(|_| self.answer.try_recv().is_err())
    }
}

/// What comes of the request; `None` if it has waited too long for an instance.
async fn before(
    answer: &mut oneshot::Receiver<Outcome>,
    expiry: &Expiry,
) -> Option<Result<Outcome, oneshot::error::RecvError>> {
    tokio::select! {
        biased;
        received = &mut *answer => return Some(received),
        () = sleep_until(expiry.at.into()) => {}
    }
    if expiry.claim() { None } else { Some(answer.await) }
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
