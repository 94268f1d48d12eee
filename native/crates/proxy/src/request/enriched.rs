//! A request, or its answer, with what models say about it.

use super::{
    forward,
    unary::{self, Reply},
    whole,
};
use crate::{
    body::Body,
    call::{Call, within},
    enrich::{Placed, Rule, Values, View, select::check_encoding, transform},
    infer::framed,
    observe::ending::End,
    origin::Origin,
    plan::enrichment::{Enrichment, Enrichments},
    transcode::signatures,
    watch::Watch,
};
use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header::CONTENT_LENGTH, request::Parts};
use infermesh_policy::Deadline;
use infermesh_rest::transcode::INFER;
use infermesh_wire::{Code, Error, proto::inference::ModelInferResponse};
use prost::Message;
use std::{pin::pin, time::Instant};

/// Says which rules have failed and were passed over.
const FAILED: HeaderName = HeaderName::from_static("x-infermesh-enrichment-failed");

/// Names of rules in one header.
const MAX_NAMED: usize = 16;

/// What a rule looks at, apart from the body.
pub struct About<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub query: &'a str,
    /// Whose body it is, if it is a request's.
    pub origin: Option<&'a Origin>,
}

/// Asks the models of a route about a request, and puts what they say into it. Models are asked all at once, each for as long
/// as its rule allows.
///
/// Fails with UNAVAILABLE if a rule fails without which the request must not pass.
pub async fn request(call: &Call<'_>, head: &mut Parts, body: Body) -> Result<Body, Error> {
    let enrichments = &call.route.on_request;
    let rules: Vec<&Enrichment> = enrichments.rules.iter().filter(|rule| rule.matching.fits(head)).collect();
    if rules.is_empty() {
        return Ok(body);
    }
    let Parts { method, uri, headers, .. } = head;
    let (path, query) = (uri.path(), uri.query().unwrap_or_default());
    let about = About { method: method.as_str(), path, query, origin: Some(call.origin) };
    message(call, enrichments, &rules, &about, headers, body).await
}

/// Sends a request on, and asks the models of its route about the answer, which gets what they say.
///
/// Fails as `forward::send`, or with UNAVAILABLE if a rule fails without which the answer must not pass.
pub async fn exchange(
    call: &Call<'_>,
    head: Box<Parts>,
    body: Body,
    watch: &mut Watch,
) -> Result<Response<Body>, Error> {
    let enrichments = &call.route.on_response;
    let rules: Vec<&Enrichment> = enrichments.rules.iter().filter(|rule| rule.matching.fits(&head)).collect();
    let (method, uri) = (head.method.clone(), head.uri.clone());
    let response = forward::send(call, call.route.cluster.next(), head, body, watch).await?;
    if rules.is_empty() {
        return Ok(response);
    }
    let (path, query) = (uri.path(), uri.query().unwrap_or_default());
    let about = About { method: method.as_str(), path, query, origin: None };
    let (mut answer, body) = response.into_parts();
    let body = message(call, enrichments, &rules, &about, &mut answer.headers, body).await?;
    Ok(Response::from_parts(answer, body))
}

async fn message(
    call: &Call<'_>,
    enrichments: &Enrichments,
    rules: &[&Enrichment],
    about: &About<'_>,
    headers: &mut HeaderMap,
    body: Body,
) -> Result<Body, Error> {
    // What a caller says in a model's place must not be taken for the model's word.
    for name in rules.iter().flat_map(|rule| rule.rule.placement().headers()) {
        headers.remove(name);
    }
    let (mut whole, mut rest) = (Bytes::new(), body);
    let needs_body = rules.iter().any(|rule| rule.rule.needs_body());
    if needs_body {
        check_encoding(headers)?;
        let received = whole::receive(call, headers, rest, about.origin).await?;
        (whole, rest) = (received.bytes, Body::Empty);
    }
    let view = View {
        method: about.method,
        path: about.path,
        query: about.query,
        headers: &headers.clone(),
        body: &whole,
    };
    let values = enrichments.sources.read(view);
    let asked = rules.iter().map(|rule| async {
        let begun = Instant::now();
        (ask(call, rule, &values).await, begun.elapsed())
    });
    let asked = join_all(asked).await;
    let (mut changed, mut failed) = (whole.clone(), Vec::new());
    for (rule, (said, took)) in rules.iter().zip(asked) {
        let placed = said.and_then(|response| put(&rule.rule, &response, headers, &changed));
        let code = placed.as_ref().err().map_or(0, |error| error.code as u16);
        rule.route.counts.ended(End::Grpc(code), took, 0, 0);
        match placed {
            Ok(None) => {}
            Ok(Some(body)) => changed = body.into(),
            Err(error) if rule.closed => {
                let said =
                    format!("'{}' could not be asked about this request: {}", rule.name, error.message);
                return Err(Error::new(Code::Unavailable, said));
            }
            Err(error) => {
                call.local.shared.complain(&rule.name, &error);
                failed.push(rule.name.as_str());
            }
        }
    }
    if !failed.is_empty() {
        failed.truncate(MAX_NAMED);
        if let Ok(names) = HeaderValue::from_str(&failed.join(", ")) {
            headers.insert(FAILED, names);
        }
    }
    if !needs_body {
        return Ok(rest);
    }
    headers.insert(CONTENT_LENGTH, HeaderValue::from(changed.len()));
    Ok(Body::from(changed))
}

/// The answer of one rule's model, within the rule's time.
async fn ask(call: &Call<'_>, rule: &Enrichment, values: &Values<'_>) -> Result<ModelInferResponse, Error> {
    let now = Instant::now();
    let deadline = Deadline::earliest(now, [call.deadline.remaining(now), Some(rule.timeout)]);
    let inner = Call { route: rule.route.clone(), deadline, grpc: true, turn: None, ..*call };
    let work = pin!(async {
        let refused = |code: u32, message: String| {
            Error::new(
                Code::Unavailable,
                format!("model '{}' refused: {message} (status {code})", rule.model),
            )
        };
        let limit = call.local.shared.max_message;
        let found = signatures::of(&inner, &rule.model, &rule.version, &HeaderMap::new()).await?;
        let known = found.map_err(|answer| {
            let said = format!("model '{}' cannot be asked about (HTTP {})", rule.model, answer.status());
            Error::new(Code::Unavailable, said)
        })?;
        let ports = rule.rule.bind(&known.metadata)?;
        let request = match rule.rule.call(&ports, values)? {
            None => rule.rule.request(&ports, values, "", limit)?,
            Some(function) => {
                let reply = call.local.shared.hooks.ask(function.to_json()?).await?;
                let reply = transform::Reply::parse(&reply)?;
                rule.rule.transformed(&ports, &reply, "", limit)?
            }
        };
        match unary::ask(&inner, inner.route.cluster.next(), INFER, HeaderMap::new(), framed(request)?)
            .await?
        {
            Reply::Message(message) => ModelInferResponse::decode(message)
                .map_err(|error| Error::internal(format!("the model's answer cannot be read: {error}"))),
            Reply::Refused { code, message } => Err(refused(code, message)),
        }
    });
    within(deadline, work).await.map_err(|error| match error.code {
        Code::DeadlineExceeded => {
            Error::new(Code::Unavailable, format!("no answer within {:?}", rule.timeout))
        }
        _ => error,
    })
}

/// Puts a model's answer where its rule says; returns the body if that changes.
fn put(
    rule: &Rule,
    response: &ModelInferResponse,
    headers: &mut HeaderMap,
    body: &[u8],
) -> Result<Option<Vec<u8>>, Error> {
    let placed: Placed<'_> = rule.take(response)?;
    let changed = placed.body(body)?;
    for (name, value) in placed.headers {
        headers.insert(name, value);
    }
    Ok(changed)
}
