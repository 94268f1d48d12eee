//! One inference: validate, queue, wait, write the answer.

use crate::{
    call::Body,
    model::Version,
    outputs::{Outputs, present, tensors},
    thread::Local,
    validate::{Valid, validate},
    visit::{Job, Visit},
    watch::{Origin, Told, Watch},
};
use bytes::Bytes;
use infermesh_batcher::{Answer, TraceIds};
use infermesh_wire::{
    Error,
    request::InferRequest,
    response::{OutputTensor, Pieces},
};
use smallvec::SmallVec;
use std::{sync::Arc, time::Instant};

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

    pub async fn answer(self) -> Result<Done, Error> {
        let Self { mut visit, outputs, id } = self;
        let mut answer = visit.answer().await?;
        present(visit.version(), &outputs, &mut answer.outputs)?;
        Ok(Done { visit, outputs, id, answer })
    }
}

impl Done {
    /// The framed `ModelInferResponse`.
    pub fn write(&self) -> Pieces {
        self.version().writer.write(&self.id, &[], &self.tensors())
    }

    /// The framed `ModelStreamInferResponse`; `parameters` are serialised map entries.
    pub fn write_streamed(&self, parameters: &[Vec<u8>]) -> Pieces {
        self.version().writer.write_streamed(&self.id, parameters, &self.tensors())
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn version(&self) -> &Version {
        self.visit.version()
    }

    /// For traces and the log.
    pub fn told(&self) -> Told<'_> {
        Told {
            version: self.version().number,
            id: &self.id,
            enqueued: self.visit.since(),
            timing: self.visit.is_one_execution().then_some(self.answer.timing),
        }
    }

    /// What the caller wants of the model's outputs, in the order it wants them.
    pub fn tensors(&self) -> SmallVec<[OutputTensor<'_>; 4]> {
        tensors(self.version(), &self.outputs, &self.answer.outputs)
    }
}
