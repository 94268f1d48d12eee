//! One inference over HTTP: JSON, binary tails, or one raw tensor; the engine behind it is everybody's.

use super::{
    answer::{self, Answer},
    body, errors,
    header::{Data, Header},
    raw,
    tensor::{check_has_json_form, from_json, to_json},
};
use crate::{
    inference::{
        infer::{Done, Pending, Terms, deadline, enqueue},
        validate::{Valid, validate_with},
    },
    models::Version,
    observe::watch::{Edge, Origin, Watch},
    shared::Local,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, body::Incoming};
use infermesh_transport::budget::Hold;
use infermesh_wire::Error;
use serde_json::json;
use std::sync::Arc;
use tokio::time::timeout_at;

const ROUTE: &str = "/v2/models/{model}/infer";
const VERSION_ROUTE: &str = "/v2/models/{model}/versions/{version}/infer";

/// How long the JSON part of a body is; the binary part follows it.
const HEADER_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

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
        status: errors::status,
    });
    let work = async {
        let mut hold = Hold::none(&local.purse);
        let body = body::receive(local, &head.headers, body, &mut hold).await?;
        let watch = Watch::begin(local, origin, model, deadline);
        let terms = Terms { deadline, trace: watch.trace(), has_own_task: false };
        let outcome = run(local, (model, version), &head.headers, body, terms).await;
        watch.end(outcome.as_ref().map(|(done, _)| done.told()));
        let (done, carriers) = outcome?;
        write(&done, &carriers)
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
    let length = header_length(headers, body.len())?;
    let (pending, carriers) = local.shared.registry.on(model, version, |version| {
        version.check_answers_once("HTTP end point")?;
        match length {
            Some(0) => accept_raw(local, version, body.clone(), terms),
            _ => accept(local, version, length.unwrap_or(body.len()), body.clone(), terms),
        }
    })?;
    Ok((pending.answer().await?, carriers))
}

/// How the values of an output travel.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Carrier {
    Json,
    Binary,
    SharedMemory,
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
    let valid =
        validate_with(&version, &request, &local.regions, |index, input, datatype| match data.get(index) {
            Some(Data::Json(text)) => from_json(text, datatype, input.name),
            Some(Data::Binary(bytes)) => Ok(bytes.clone()),
            Some(Data::SharedMemory) | None => Err(Error::internal("an input vanished during validation")),
        })?;
    let carriers = carriers(&version, &valid, header.binary_outputs(valid.outputs.len()))?;
    Ok((enqueue(local, version.clone(), valid, &header.id, terms)?, carriers))
}

/// Queues a body that is one tensor; every output is answered in binary.
fn accept_raw(
    local: &Local,
    version: Arc<Version>,
    body: Bytes,
    terms: Terms,
) -> Result<(Pending, Vec<Carrier>), Error> {
    let valid = raw::validate(&version, body, &local.regions)?;
    let carriers = vec![Carrier::Binary; valid.outputs.len()];
    Ok((enqueue(local, version, valid, "", terms)?, carriers))
}

/// `None` where the client does not say: then all of the body is JSON.
fn header_length(headers: &HeaderMap, body: usize) -> Result<Option<usize>, Error> {
    let Some(value) = headers.get(HEADER_LENGTH) else { return Ok(None) };
    let length = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    length.filter(|&length: &usize| length <= body).map(Some).ok_or_else(|| {
        Error::invalid(format!(
            "{HEADER_LENGTH} is '{}', expected at most the {body} bytes of the body",
            value.as_bytes().escape_ascii()
        ))
    })
}

/// How each output travels, given which are wanted in binary. What cannot be answered is refused before it runs.
fn carriers(version: &Version, valid: &Valid, binary: Vec<bool>) -> Result<Vec<Carrier>, Error> {
    let carriers = valid.outputs.iter().zip(binary).map(|(wanted, binary)| {
        let port = &version.outputs[wanted.index];
        match (wanted.is_carried(), binary) {
            (false, _) => Ok(Carrier::SharedMemory),
            (true, true) => Ok(Carrier::Binary),
            (true, false) => {
                check_has_json_form(wanted.datatype(port), "output", &port.name).map(|()| Carrier::Json)
            }
        }
    });
    carriers.collect()
}

fn write(done: &Done, carriers: &[Carrier]) -> Result<Answer, Error> {
    let version = done.version();
    let mut head = json!({ "model_name": version.name, "model_version": version.number.to_string() });
    if !done.id().is_empty() {
        head["id"] = done.id().into();
    }
    let mut text = head.to_string().into_bytes();
    // The object goes on.
    text.pop();
    text.extend_from_slice(b",\"outputs\":[");
    let mut tail = Vec::new();
    for (index, (tensor, carrier)) in done.tensors().into_iter().zip(carriers).enumerate() {
        if index > 0 {
            text.push(b',');
        }
        let mut output =
            json!({ "name": tensor.name, "datatype": tensor.datatype.name(), "shape": &tensor.shape[..] });
        if *carrier == Carrier::Binary {
            output["parameters"] = json!({ "binary_data_size": tensor.data.len() });
        }
        text.extend_from_slice(output.to_string().as_bytes());
        match carrier {
            Carrier::SharedMemory => {}
            Carrier::Binary => tail.push(tensor.data),
            Carrier::Json => {
                text.pop();
                text.extend_from_slice(b",\"data\":");
                to_json(&mut text, tensor.datatype, &tensor.data, tensor.name)?;
                text.push(b'}');
            }
        }
    }
    text.extend_from_slice(b"]}");
    if !carriers.contains(&Carrier::Binary) {
        return Ok(answer::json(text));
    }
    let length = text.len();
    let pieces = std::iter::once(Bytes::from(text)).chain(tail);
    let mut answer = answer::typed("application/octet-stream", pieces);
    answer.headers_mut().insert(HEADER_LENGTH, HeaderValue::from(length));
    Ok(answer)
}
