//! One inference: validate, queue, wait, write the answer.

use crate::{
    call::Body,
    model::Version,
    thread::Local,
    validate::{Valid, validate},
};
use bytes::Bytes;
use infermesh_batcher::{Drive, Expiry, Outcome, Request};
use infermesh_wire::{
    Code, Error,
    request::InferRequest,
    response::{OutputTensor, Pieces},
};
use smallvec::SmallVec;
use std::{sync::Arc, time::Instant};
use tokio::{
    sync::oneshot,
    task::{spawn_local, yield_now},
    time::sleep_until,
};

/// `ModelInfer`.
pub async fn unary(local: &Local, message: Bytes, deadline: Option<Instant>) -> Result<Body, Error> {
    let request = InferRequest::decode(&message)?;
    Ok(submit(local, &request, &message, deadline)?.answer().await?.write().into())
}

/// An inference that was accepted.
pub struct Pending {
    version: Arc<Version>,
    outputs: SmallVec<[usize; 4]>,
    id: String,
    enqueued: Instant,
    expiry: Option<Expiry>,
    answer: oneshot::Receiver<Outcome>,
}

/// An inference that is done.
pub struct Done {
    version: Arc<Version>,
    outputs: SmallVec<[usize; 4]>,
    id: String,
    tensors: SmallVec<[infermesh_batcher::Tensor; 2]>,
}

/// Queues a request with its model. Dropping what it returns gives the request up.
pub fn submit(
    local: &Local,
    request: &InferRequest<'_>,
    message: &Bytes,
    deadline: Option<Instant>,
) -> Result<Pending, Error> {
    let version = local.shared.registry.find(request.model_name, request.model_version)?;
    let valid = validate(&version, request, message)?;
    enqueue(local, version, valid, request.id, deadline)
}

/// Queues what was found valid.
pub fn enqueue(
    local: &Local,
    version: Arc<Version>,
    Valid { inputs, rows, outputs, priority, timeout }: Valid,
    id: &str,
    deadline: Option<Instant>,
) -> Result<Pending, Error> {
    let enqueued = Instant::now();
    let (mut queued, answer) = Request::new(inputs, rows, enqueued, local.mailbox.clone());
    version.scheduler.policy().place(&mut queued, priority, timeout);
    queued.deadline = deadline;
    let expiry = queued.expiry.clone();
    if version.scheduler.submit(queued)? == Drive::Here {
        spawn_local(drive(version.clone()));
    }
    Ok(Pending { version, outputs, id: id.to_owned(), enqueued, expiry, answer })
}

/// Runs after every task that is ready now, so that all requests read in this turn share the batch.
async fn drive(version: Arc<Version>) {
    while version.scheduler.run_here() == Drive::Here {
        yield_now().await;
    }
}

fn expired(version: &Version, enqueued: Instant) -> Error {
    version.scheduler.stats().failed(1, enqueued.elapsed());
    Error::new(Code::Unavailable, "Request timeout expired")
}

impl Pending {
    pub fn id(&self) -> &str {
        &self.id
    }

    pub async fn answer(self) -> Result<Done, Error> {
        let Self { version, outputs, id, enqueued, expiry, mut answer } = self;
        let received = match &expiry {
            None => answer.await,
            Some(expiry) => tokio::select! {
                biased;
                received = &mut answer => received,
                () = sleep_until(expiry.at.into()) => {
                    if expiry.claim() {
                        return Err(expired(&version, enqueued));
                    }
                    answer.await
                }
            },
        };
        // The batcher drops a request without an answer only when it is too late for it.
        let outcome = received.map_err(|_| match &expiry {
            Some(expiry) if expiry.at <= Instant::now() => expired(&version, enqueued),
            _ => Error::deadline_exceeded(),
        })?;
        Ok(Done { tensors: outcome?.outputs, version, outputs, id })
    }
}

impl Done {
    /// The framed `ModelInferResponse`.
    pub fn write(&self) -> Pieces {
        self.version.writer.write(&self.id, &[], &self.tensors())
    }

    /// The framed `ModelStreamInferResponse`; `parameters` are serialised map entries.
    pub fn write_streamed(&self, parameters: &[Vec<u8>]) -> Pieces {
        self.version.writer.write_streamed(&self.id, parameters, &self.tensors())
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn version(&self) -> &Version {
        &self.version
    }

    /// What the caller wants of the model's outputs, in the order it wants them.
    pub fn tensors(&self) -> SmallVec<[OutputTensor<'_>; 4]> {
        let wanted = self.outputs.iter().filter_map(|&index| {
            let (port, tensor) = (self.version.outputs.get(index)?, self.tensors.get(index)?);
            Some(OutputTensor {
                name: &port.name,
                datatype: port.datatype,
                shape: &tensor.shape,
                data: tensor.data.clone(),
            })
        });
        wanted.collect()
    }
}
