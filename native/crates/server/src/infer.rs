//! One inference: validate, queue, wait, write the answer.

use crate::{
    call::Body,
    model::Version,
    outputs::{Outputs, present, tensors},
    thread::Local,
    validate::{Valid, validate},
    watch::{Origin, Told, Watch},
};
use bytes::Bytes;
use infermesh_batcher::{Answer, Drive, Expiry, Failure, Outcome, Request, TraceIds};
use infermesh_wire::{
    Code, Error,
    request::InferRequest,
    response::{OutputTensor, Pieces},
};
use smallvec::SmallVec;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::oneshot,
    task::{spawn_local, yield_now},
    time::sleep_until,
};

/// `ModelInfer`.
pub async fn unary(
    local: &Local,
    message: Bytes,
    deadline: Option<Instant>,
    origin: Option<Origin>,
) -> Result<Body, Error> {
    let request = InferRequest::decode(&message)?;
    let watch = Watch::begin(local, origin, request.model_name, deadline);
    let terms = Terms { deadline, trace: watch.trace() };
    let accepted = local.shared.registry.on(request.model_name, request.model_version, |version| {
        version.check_answers_once("ModelInfer RPC")?;
        submit(local, version, &request, &message, terms)
    });
    let outcome = match accepted {
        Ok(pending) => pending.answer().await,
        Err(error) => Err(error),
    };
    watch.end(outcome.as_ref().map(Done::told));
    Ok(outcome?.write().into())
}

/// What holds for a request beside what it says itself.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    pub deadline: Option<Instant>,
    pub trace: Option<TraceIds>,
}

/// An inference that was accepted.
pub struct Pending {
    visit: Visit,
    outputs: Outputs,
    id: String,
    expiry: Option<Expiry>,
}

/// An inference that is done.
pub struct Done {
    visit: Visit,
    outputs: Outputs,
    id: String,
    answer: Answer,
}

/// Queues a request with its model. Dropping what it returns gives the request up.
pub fn submit(
    local: &Local,
    version: Arc<Version>,
    request: &InferRequest<'_>,
    message: &Bytes,
    terms: Terms,
) -> Result<Pending, Error> {
    let valid = validate(&version, request, message, &local.shared.regions)?;
    enqueue(local, version, valid, request.id, terms)
}

/// Queues what was found valid.
pub fn enqueue(
    local: &Local,
    version: Arc<Version>,
    Valid { inputs, rows, outputs, timeout }: Valid,
    id: &str,
    Terms { deadline, trace }: Terms,
) -> Result<Pending, Error> {
    let enqueued = Instant::now();
    let (mut request, answer) = Request::new(inputs, rows, enqueued, local.mailbox.clone());
    request.deadline = deadline;
    request.trace = trace;
    let expiry = schedule(&version, request, timeout)?;
    let visit = Visit { version, since: enqueued, answer, failure: Some(Failure::Canceled) };
    Ok(Pending { visit, outputs, id: id.to_owned(), expiry })
}

/// Hands a request to its model's scheduler; returns when it will have waited too long for an instance.
pub fn schedule(
    version: &Arc<Version>,
    mut request: Request,
    timeout: Option<Duration>,
) -> Result<Option<Expiry>, Error> {
    let patience = version.scheduler.policy().patience(timeout);
    let expiry = patience.map(|patience| Expiry::new(request.enqueued + patience));
    request.expiry = expiry.clone();
    if version.scheduler.submit(request)? == Drive::Here {
        spawn_local(drive(version.clone()));
    }
    Ok(expiry)
}

/// What is said to a request that has waited too long for an instance.
pub fn expired() -> Error {
    Error::new(Code::Unavailable, "Request timeout expired")
}

/// Runs after every task that is ready now, so that all requests read in this turn share the batch.
async fn drive(version: Arc<Version>) {
    while version.scheduler.run_here() == Drive::Here {
        yield_now().await;
    }
}

/// The model that a request has reached. Dropped without a word from the batcher, it counts what became of the
/// request instead.
struct Visit {
    version: Arc<Version>,
    since: Instant,
    answer: oneshot::Receiver<Outcome>,
    failure: Option<Failure>,
}

impl Visit {
    fn expired(&mut self) -> Error {
        self.failure = Some(Failure::Rejected);
        expired()
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if let Some(failure) = self.failure
            && self.answer.try_recv().is_err()
        {
            self.version.scheduler.stats().failed(failure, 1, self.since.elapsed());
        }
    }
}

impl Pending {
    pub fn id(&self) -> &str {
        &self.id
    }

    pub async fn answer(self) -> Result<Done, Error> {
        let Self { mut visit, outputs, id, expiry } = self;
        let answer = &mut visit.answer;
        let received = match &expiry {
            None => answer.await,
            Some(expiry) => tokio::select! {
                biased;
                received = &mut *answer => received,
                () = sleep_until(expiry.at.into()) => {
                    if expiry.claim() {
                        return Err(visit.expired());
                    }
                    answer.await
                }
            },
        };
        // The batcher drops a request without an answer only when it is too late for it.
        let outcome = received.map_err(|_| match &expiry {
            Some(expiry) if expiry.at <= Instant::now() => visit.expired(),
            _ => Error::deadline_exceeded(),
        })?;
        visit.failure = None;
        let mut answer = outcome?;
        present(&visit.version, &outputs, &mut answer.outputs)?;
        Ok(Done { visit, outputs, id, answer })
    }
}

impl Done {
    /// The framed `ModelInferResponse`.
    pub fn write(&self) -> Pieces {
        self.visit.version.writer.write(&self.id, &[], &self.tensors())
    }

    /// The framed `ModelStreamInferResponse`; `parameters` are serialised map entries.
    pub fn write_streamed(&self, parameters: &[Vec<u8>]) -> Pieces {
        self.visit.version.writer.write_streamed(&self.id, parameters, &self.tensors())
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn version(&self) -> &Version {
        &self.visit.version
    }

    /// For traces and the log.
    pub fn told(&self) -> Told<'_> {
        Told {
            version: self.visit.version.number,
            id: &self.id,
            enqueued: self.visit.since,
            timing: Some(self.answer.timing),
        }
    }

    /// What the caller wants of the model's outputs, in the order it wants them.
    pub fn tensors(&self) -> SmallVec<[OutputTensor<'_>; 4]> {
        tensors(self.version(), &self.outputs, &self.answer.outputs)
    }
}
