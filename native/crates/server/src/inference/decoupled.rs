//! One inference of a decoupled model: validate, queue, write each answer when it is there.

use super::{
    infer::Terms,
    outputs::{Outputs, present, tensors},
    queued::{expired, schedule},
    validate::{Valid, validate},
};
use crate::{
    models::Version,
    observe::watch::{Told, Watch},
    shared::Local,
};
use bytes::Bytes;
use infermesh_batcher::{Claim, Expiry, Failure, Many, Part, Reply, Request, Tensor, Timing, reply::WINDOW};
use infermesh_wire::{
    Error,
    request::{InferRequest, Parameter, Parameters},
    response::Pieces,
};
use smallvec::SmallVec;
use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};
use tokio::{sync::mpsc, time::sleep_until};

/// The answers of one request. Dropping it gives the request up, which ends the model's work on it.
pub struct Answers {
    version: Arc<Version>,
    outputs: Outputs,
    id: String,
    /// Whether the caller wants to be told the end.
    marked: bool,
    since: Instant,
    /// Until an instance has taken the request.
    expiry: Option<Expiry>,
    parts: mpsc::Receiver<Part>,
    count: Claim,
    timing: Arc<OnceLock<Timing>>,
    over: bool,
    watch: Watch,
}

/// Queues a request with its model.
pub fn submit(
    local: &Local,
    version: Arc<Version>,
    request: &InferRequest<'_>,
    message: &Bytes,
    marked: bool,
    terms: Terms,
) -> Result<Answers, Error> {
    let Valid { inputs, rows, outputs, turn, priority, timeout } =
        validate(&version, request, message, &local.regions)?;
    let (since, count, timing) = (Instant::now(), Claim::default(), Arc::<OnceLock<_>>::default());
    let (sender, parts) = mpsc::channel(WINDOW);
    let reply = Reply::Many(Many { parts: sender, count: count.clone(), timing: timing.clone() });
    let mut queued = Request::answering(reply, inputs, rows, since, local.mailbox.clone());
    queued.deadline = terms.deadline;
    queued.trace = terms.trace;
    queued.turn = turn;
    let (expiry, _) = schedule(&version, queued, priority, timeout)?;
    let id = request.id.to_owned();
    Ok(Answers {
        version,
        outputs,
        id,
        marked,
        since,
        expiry,
        parts,
        count,
        timing,
        over: false,
        watch: Watch::default(),
    })
}

impl Answers {
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The same answers, with somebody told when they end.
    pub fn watched(mut self, watch: Watch) -> Self {
        self.watch = watch;
        self
    }

    /// The next framed `ModelStreamInferResponse`; `None` after the last one or an error.
    pub async fn next(&mut self) -> Option<Result<Pieces, Error>> {
        if self.over {
            return None;
        }
        let part = self.part().await.and_then(|part| self.presented(part));
        self.over = !matches!(part, Ok(Some(_)));
        if self.over {
            let timing = self.timing.get().copied();
            let told = Told { version: self.version.number, id: &self.id, enqueued: self.since, timing };
            std::mem::take(&mut self.watch).end(part.as_ref().map(|_| told));
        }
        match part {
            Ok(Some(outputs)) => Some(Ok(self.write(false, &outputs))),
            Ok(None) => self.marked.then(|| Ok(self.write(true, &[]))),
            Err(error) => Some(Err(error)),
        }
    }

    /// Each answer in the form that is wanted; in shared memory it takes the place of the one before.
    fn presented(&self, mut part: Option<SmallVec<[Tensor; 2]>>) -> Part {
        if let Some(outputs) = &mut part {
            present(&self.version, &self.outputs, outputs)?;
        }
        Ok(part)
    }

    fn write(&self, last: bool, outputs: &[Tensor]) -> Pieces {
        let tensors = tensors(&self.version, &self.outputs, outputs);
        self.version.writer.write_streamed(&self.id, &final_response(last), &tensors)
    }

    async fn part(&mut self) -> Part {
        let expiry = self.expiry.take();
        let received = match &expiry {
            None => self.parts.recv().await,
            Some(expiry) => tokio::select! {
                biased;
                received = self.parts.recv() => received,
                () = sleep_until(expiry.at.into()) => {
                    if expiry.claim() {
                        return Err(self.expired());
                    }
                    self.parts.recv().await
                }
            },
        };
        // The batcher drops a request without its end only when it is too late for it.
        received.unwrap_or_else(|| match &expiry {
            Some(expiry) if expiry.at <= Instant::now() => Err(self.expired()),
            _ => Err(Error::deadline_exceeded()),
        })
    }

    fn expired(&self) -> Error {
        self.uncounted(Failure::Rejected);
        expired()
    }

    fn uncounted(&self, failure: Failure) {
        if self.count.take() {
            self.version.engine.stats().failed(failure, 1, self.since.elapsed());
        }
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.uncounted(Failure::Canceled);
    }
}

/// The parameter of an answer that says whether its request has no more.
pub const FINAL_RESPONSE: &str = "triton_final_response";

/// `FINAL_RESPONSE` alone.
pub fn final_response(last: bool) -> Parameters<'static> {
    let mut parameters = Parameters::default();
    parameters.push(FINAL_RESPONSE, Parameter::Bool(last));
    parameters
}
