//! One inference over HTTP: JSON, binary tails, or one raw tensor; the engine behind it is everybody's.

use super::body;
use crate::{
    inference::{
        infer::{Done, Pending, Terms, deadline, enqueue},
        timing,
        validate::{Valid, validate_with},
    },
    memory::shared_memory::Regions,
    models::{Port, Version},
    observe::watch::{Edge, Origin, Watch},
    shared::Local,
};
use bytes::Bytes;
use http::HeaderMap;
use hyper::{Request, body::Incoming};
use infermesh_rest::{
    Answer,
    header::{Carriers, Data, HEADER_LENGTH, Header, header_length},
    infer::{Carrier, Head, answer},
    raw, status,
    tensor::{check_has_json_form, from_json},
};
use infermesh_transport::budget::Hold;
use infermesh_wire::{
    DataType, Error,
    request::{InferRequest, InputTensor, Parameters},
};
use std::sync::Arc;
use tokio::time::timeout_at;

const ROUTE: &str = "/v2/models/{model}/infer";
const VERSION_ROUTE: &str = "/v2/models/{model}/versions/{version}/infer";

pub async fn serve(
    local: &Local,
    model: &str,
    version: &str,
    request: Request<Incoming>,
) -> Result<Answer, Error> {
    let (head, body) = request.into_parts();
    let deadline = deadline(&head.headers);
    let origin = Origin::of(local, &head.headers, || Edge::Rest {
        path: head.uri.path().to_owned(),
        route: if version.is_empty() { ROUTE } else { VERSION_ROUTE },
        status,
    });
    let work = async {
        let mut hold = Hold::none(&local.purse);
        let body = body::receive(local, &head.headers, body, &mut hold).await?;
        let watch = Watch::begin(local, origin, model, deadline);
        let terms = Terms { deadline, trace: watch.trace(), has_own_task: false };
        let outcome = run(local, (model, version), &head.headers, body, terms).await;
        watch.end(outcome.as_ref().map(|(done, _)| done.told()));
        let (done, carriers) = outcome?;
        let mut answer = write(&done, &carriers)?;
        if timing::is_asked(&head.headers)
            && let Some(queued) = done.queued()
        {
            timing::tell(answer.headers_mut(), queued);
        }
        Ok(answer)
    };
    match deadline {
        None => work.await,
        Some(deadline) => {
            timeout_at(deadline.into(), work).await.unwrap_or_else(|_| Err(Error::deadline_exceeded()))
        }
    }
}

async fn run(
    local: &Local,
    (model, version): (&str, &str),
    headers: &HeaderMap,
    body: Bytes,
    terms: Terms,
) -> Result<(Done, Vec<Carrier>), Error> {
    let length = header_length(headers.get(HEADER_LENGTH), body.len())?;
    let (pending, carriers) = local.shared.registry.on(model, version, |version| {
        version.check_answers_once("HTTP end point")?;
        match length {
            Some(0) => accept_raw(local, version, body.clone(), terms),
            _ => accept(local, version, length.unwrap_or(body.len()), body.clone(), terms),
        }
    })?;
    Ok((pending.answer().await?, carriers))
}

/// Queues a body whose first `length` bytes are JSON; returns how each output travels.
fn accept(
    local: &Local,
    version: Arc<Version>,
    length: usize,
    mut body: Bytes,
    terms: Terms,
) -> Result<(Pending, Vec<Carrier>), Error> {
    let text = body.split_to(length);
    let header = Header::parse(&text)?;
    let data = header.data(body)?;
    let request = header.request(&version.name, "")?;
    let valid = validate_with(&version, &request, &local.regions, values(&data))?;
    let carriers = carriers(&version, &valid, &header.carriers())?;
    Ok((enqueue(local, version.clone(), valid, &header.id, terms)?, carriers))
}

/// Gives the raw bytes of inputs by their position in the request.
pub fn values(data: &[Data<'_>]) -> impl Fn(usize, &InputTensor<'_>, DataType) -> Result<Bytes, Error> {
    |index, input, datatype| match data.get(index) {
        Some(Data::Json(text)) => from_json(text, datatype, input.name),
        Some(Data::Binary(bytes)) => Ok(bytes.clone()),
        Some(Data::SharedMemory) | None => Err(Error::internal("an input vanished during validation")),
    }
}

/// Queues a body that is one tensor; every output is answered in binary.
fn accept_raw(
    local: &Local,
    version: Arc<Version>,
    body: Bytes,
    terms: Terms,
) -> Result<(Pending, Vec<Carrier>), Error> {
    let valid = valid_raw(&version, body, &local.regions)?;
    let carriers = carriers(&version, &valid, &Carriers::all(Carrier::Binary))?;
    Ok((enqueue(local, version, valid, "", terms)?, carriers))
}

/// A body that is one tensor, held against the model.
pub fn valid_raw(version: &Version, body: Bytes, regions: &Regions) -> Result<Valid, Error> {
    let inputs = version.inputs.iter().map(|Port { name, datatype, shape, .. }| raw::Port {
        name,
        datatype: *datatype,
        shape,
    });
    let (input, data) = raw::input(&version.name, version.is_batched(), inputs, body)?;
    let request = InferRequest { inputs: [input].into_iter().collect(), ..Default::default() };
    validate_with(version, &request, regions, |_, _, _| Ok(data.clone()))
}

/// How each output travels, given how it is wanted. What cannot be answered is refused before it runs.
fn carriers(version: &Version, valid: &Valid, asked: &Carriers<'_>) -> Result<Vec<Carrier>, Error> {
    let carriers = valid.outputs.iter().map(|wanted| {
        let port = &version.outputs[wanted.index];
        let carrier = asked.of(&port.name);
        if carrier == Carrier::Json {
            check_has_json_form(wanted.datatype(port), "output", &port.name)?;
        }
        Ok(carrier)
    });
    carriers.collect()
}

fn write(done: &Done, carriers: &[Carrier]) -> Result<Answer, Error> {
    let version = done.version();
    let head = Head {
        model: &version.name,
        version: &version.number.to_string(),
        id: done.id(),
        parameters: Parameters::none(),
    };
    answer(head, done.tensors().into_iter().zip(carriers.iter().copied()))
}
