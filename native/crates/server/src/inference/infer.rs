//! One inference: validate, queue, wait, write the answer.

use super::{
    outputs::{Outputs, present, tensors},
    validate::{Valid, validate},
    visit::{Job, Visit},
};
use crate::{models::Version, observe::watch::Told, shared::Local};
use bytes::Bytes;
use http::HeaderMap;
use infermesh_batcher::{Answer, TraceIds};
use infermesh_wire::{
    Error,
    framing::parse_timeout,
    request::{InferRequest, Parameters},
    response::{OutputTensor, Pieces},
};
use smallvec::SmallVec;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// What holds for a request beside what it says itself.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    pub deadline: Option<Instant>,
    pub trace: Option<TraceIds>,
    /// Whether a task waits for it and for nothing else.
    pub has_own_task: bool,
}

/// When the client stops waiting, by the `grpc-timeout` it sent; a year is as long as for ever.
pub fn deadline(headers: &HeaderMap) -> Option<Instant> {
    let timeout = headers.get("grpc-timeout").and_then(|value| parse_timeout(value.to_str().ok()?));
    timeout.map(|timeout| Instant::now() + timeout.min(Duration::from_secs(365 * 24 * 3600)))
}

/// An inference that was accepted.
pub struct Pending {
    visit: Visit,
    outputs: Outputs,
    id: String,
}

/// An inference that is done.
pub struct Done {
    asked: Pending,
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
    let valid = validate(&version, request, message, &local.regions)?;
    enqueue(local, version, valid, request.id, terms)
}

/// Queues what was found valid.
pub fn enqueue(
    local: &Local,
    version: Arc<Version>,
    Valid { inputs, rows, outputs, turn, priority, timeout }: Valid,
    id: &str,
    terms: Terms,
) -> Result<Pending, Error> {
    let job = Job { inputs, rows, turn, priority, timeout, terms };
    let visit =
        Visit::begin(local, version, job, &|index| outputs.iter().any(|wanted| wanted.index == index))?;
    Ok(Pending { visit, outputs, id: id.to_owned() })
}

impl Pending {
    pub fn id(&self) -> &str {
        &self.id
    }

    pub async fn answer(mut self) -> Result<Done, Error> {
        let answer = self.wait().await?;
        self.done(answer)
    }

    /// The model's outputs; to be asked once.
    pub fn wait(&mut self) -> impl Future<Output = Result<Answer, Error>> {
        self.visit.answer()
    }

    /// With the outputs in the form that the caller wants.
    pub fn done(self, mut answer: Answer) -> Result<Done, Error> {
        present(self.visit.version(), &self.outputs, &mut answer.outputs)?;
        Ok(Done { asked: self, answer })
    }
}

impl Done {
    /// The framed `ModelInferResponse`.
    pub fn write(&self) -> Pieces {
        self.version().writer.write(self.id(), Parameters::none(), &self.tensors())
    }

    /// The framed `ModelStreamInferResponse`.
    pub fn write_streamed(&self, parameters: &Parameters<'_>) -> Pieces {
        self.version().writer.write_streamed(self.id(), parameters, &self.tensors())
    }

    pub fn id(&self) -> &str {
        &self.asked.id
    }

    pub fn version(&self) -> &Version {
        self.asked.visit.version()
    }

    /// For traces and the log.
    pub fn told(&self) -> Told<'_> {
        Told {
            version: self.version().number,
            id: self.id(),
            enqueued: self.asked.visit.since(),
            timing: self.asked.visit.is_one_execution().then_some(self.answer.timing),
        }
    }

    /// How long it waited for its batch; `None` where it had no single one.
    pub fn queued(&self) -> Option<Duration> {
        let told = self.told();
        Some(told.timing?.started.saturating_duration_since(told.enqueued))
    }

    /// What the caller wants of the model's outputs, in the order it wants them.
    pub fn tensors(&self) -> SmallVec<[OutputTensor<'_>; 4]> {
        tensors(self.version(), &self.asked.outputs, &self.answer.outputs)
    }
}
