//! One inference: validate, queue, wait, write the answer.

use crate::{
    call::Body,
    model::Version,
    outputs::{Outputs, present, tensors},
    thread::Local,
    validate::{Valid, validate},
    visit::{Job, Visit},
};
use bytes::Bytes;
use infermesh_batcher::Answer;
use infermesh_wire::{
    Error,
    request::InferRequest,
    response::{OutputTensor, Pieces},
};
use smallvec::SmallVec;
use std::{sync::Arc, time::Instant};

/// `ModelInfer`.
pub async fn unary(local: &Local, message: Bytes, deadline: Option<Instant>) -> Result<Body, Error> {
    let request = InferRequest::decode(&message)?;
    let pending = local.shared.registry.on(request.model_name, request.model_version, |version| {
        version.check_answers_once("ModelInfer RPC")?;
        submit(local, version, &request, &message, deadline)
    })?;
    Ok(pending.answer().await?.write().into())
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
    deadline: Option<Instant>,
) -> Result<Pending, Error> {
    let valid = validate(&version, request, message, &local.shared.regions)?;
    enqueue(local, version, valid, request.id, deadline)
}

/// Queues what was found valid.
pub fn enqueue(
    local: &Local,
    version: Arc<Version>,
    Valid { inputs, rows, outputs, timeout }: Valid,
    id: &str,
    deadline: Option<Instant>,
) -> Result<Pending, Error> {
    let job = Job { inputs, rows, deadline, timeout };
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

    /// What the caller wants of the model's outputs, in the order it wants them.
    pub fn tensors(&self) -> SmallVec<[OutputTensor<'_>; 4]> {
        tensors(self.version(), &self.outputs, &self.answer.outputs)
    }
}
