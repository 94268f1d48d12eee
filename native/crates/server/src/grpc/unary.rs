//! `ModelInfer`: one request, one answer.

use super::call::Body;
use crate::{
    inference::infer::{Done, Terms, submit},
    observe::watch::{Origin, Watch},
    shared::Local,
};
use bytes::Bytes;
use infermesh_wire::{Error, request::InferRequest};
use std::time::Instant;

pub async fn serve(
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
