//! `ModelStreamInfer`: answers in the order of the requests, errors within the stream.
//!
//! A decoupled model's answers are sent as they come, between all others.

use super::call::{Body, End, Messages, Reply};
use crate::{
    inference::{
        decoupled::{self, Answers, FINAL_RESPONSE, final_response},
        infer::{self, Done, Pending, Terms},
    },
    observe::watch::{Origin, Watch},
    shared::{Local, shutting_down},
};
use bytes::Bytes;
use futures_util::{
    StreamExt,
    stream::{self, FuturesOrdered, SelectAll},
};
use http::HeaderMap;
use infermesh_transport::budget::Hold;
use infermesh_wire::{
    Error,
    framing::frame,
    proto::inference::{
        InferParameter, ModelInferResponse, ModelStreamInferResponse, infer_parameter::ParameterChoice,
    },
    request::{InferRequest, Parameter, Parameters},
};
use std::{pin::pin, rc::Rc, time::Instant};
use tokio::time::timeout_at;

/// Requests of one stream that may be under way: the next is read when one is answered.
const WINDOW: usize = 256;

/// Whether the client asked for errors as the call's status instead of as messages.
pub fn wants_status(headers: &HeaderMap) -> bool {
    headers.get("triton_grpc_error").is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"))
}

pub async fn serve(
    local: Rc<Local>,
    mut messages: Messages,
    mut reply: Reply,
    status_on_error: bool,
    origin: Option<Box<Origin>>,
) {
    reply.headers();
    let deadline = reply.deadline();
    let mut draining = local.shared.connections.draining();
    let mut under_way = FuturesOrdered::new();
    let mut decoupled = SelectAll::new();
    let mut reading = true;
    // How the call ends once everything under way is answered.
    let mut end = Ok(());
    let outcome = loop {
        if !reading && under_way.is_empty() && decoupled.is_empty() {
            break end;
        }
        enum Event {
            Message(Result<Option<Bytes>, Error>),
            Answer(Option<Streamed>),
            Draining,
        }
        let event = reply
            .guard(pin!(async {
                // In no fixed order: neither a client that never pauses nor a model that never does shuts the other out.
                Ok(tokio::select! {
                    answer = under_way.next(), if !under_way.is_empty() => Event::Answer(answer),
                    answer = decoupled.next(), if !decoupled.is_empty() => Event::Answer(answer),
                    message = messages.next(), if reading && under_way.len() + decoupled.len() < WINDOW => {
                        Event::Message(message)
                    }
                    _ = draining.wait_for(|draining| *draining), if reading => Event::Draining,
                })
            }))
            .await;
        match event {
            End::Gone => return,
            End::Done(Err(error)) => break Err(error),
            End::Done(Ok(Event::Message(Ok(Some(message))))) => {
                let hold = messages.take_hold();
                match accept(&local, &message, deadline, origin.as_deref()) {
                    Ok(Accepted::Many(answers)) => decoupled.push(Box::pin(each(answers, hold))),
                    Ok(Accepted::One(one)) => under_way.push_back(answer(Ok(one), hold)),
                    Err(refused) => under_way.push_back(answer(Err(refused), hold)),
                }
            }
            End::Done(Ok(Event::Message(Ok(None)))) => reading = false,
            // Whatever comes after a message that cannot be framed cannot be framed either.
            End::Done(Ok(Event::Message(Err(error)))) => break Err(error),
            End::Done(Ok(Event::Draining)) => {
                reading = false;
                end = Err(shutting_down("GRPC"));
            }
            End::Done(Ok(Event::Answer(None))) => {}
            End::Done(Ok(Event::Answer(Some(answer)))) => {
                let body = match answer {
                    Ok(body) => body,
                    Err((error, _)) if status_on_error => break Err(error),
                    Err((error, id)) => in_stream(error, id),
                };
                // A client that reads no more holds its models no longer than until its deadline.
                let sent = match deadline {
                    None => Ok(reply.send_when_read(body).await),
                    Some(deadline) => timeout_at(deadline.into(), reply.send_when_read(body)).await,
                };
                match sent {
                    Ok(true) => {}
                    Ok(false) => return,
                    Err(_) => break Err(Error::deadline_exceeded()),
                }
            }
        }
    };
    reply.close(outcome);
}

/// A framed answer, or an error and the id of the request that it ends.
type Streamed = Result<Body, (Error, String)>;

/// A request that is queued, and how many answers it will have.
enum Accepted {
    One(One),
    Many(Answers),
}

struct One {
    pending: Pending,
    /// Whether the answer is to be marked as the last.
    marked: bool,
    watch: Watch,
}

/// Queues at once, so that the order of requests is that of the stream.
fn accept(
    local: &Local,
    message: &Bytes,
    deadline: Option<Instant>,
    origin: Option<&Origin>,
) -> Result<Accepted, (Error, String)> {
    let request = InferRequest::decode(message).map_err(|error| (error, String::new()))?;
    let marked = request.parameters.get("triton_enable_empty_final_response") == Some(Parameter::Bool(true));
    let watch =
        Watch::begin(local, origin.map(|origin| Box::new(origin.next())), request.model_name, deadline);
    let terms = Terms { deadline, trace: watch.trace(), has_own_task: false };
    let accepted = local.shared.registry.on(request.model_name, request.model_version, |version| {
        if version.is_decoupled() {
            return decoupled::submit(local, version, &request, message, marked, terms).map(Accepted::Many);
        }
        let pending = infer::submit(local, version, &request, message, terms)?;
        Ok(Accepted::One(One { pending, marked, watch: Watch::default() }))
    });
    match accepted {
        Ok(Accepted::One(one)) => Ok(Accepted::One(One { watch, ..one })),
        Ok(Accepted::Many(answers)) => Ok(Accepted::Many(answers.watched(watch))),
        Err(error) => {
            watch.end(Err(&error));
            Err((error, request.id.to_owned()))
        }
    }
}

/// The answer to a request of a model that gives one. What the request holds, it holds until then.
async fn answer(accepted: Result<One, (Error, String)>, hold: Hold) -> Streamed {
    let _hold = hold;
    let One { pending, marked, watch } = accepted?;
    let id = pending.id().to_owned();
    let outcome = pending.answer().await;
    watch.end(outcome.as_ref().map(Done::told));
    let done = outcome.map_err(|error| (error, id))?;
    let parameters = if marked { final_response(true) } else { Parameters::default() };
    Ok(done.write_streamed(&parameters).into())
}

/// The answers to a request of a decoupled model. What the request holds, it holds until the last.
fn each(answers: Answers, hold: Hold) -> impl stream::Stream<Item = Streamed> {
    stream::unfold((answers, hold), async |(mut answers, hold)| {
        let answer = answers.next().await?.map(Body::from).map_err(|error| (error, answers.id().to_owned()));
        Some((answer, (answers, hold)))
    })
}

/// The code that the error would have had as the call's status: who sees only the message can match nothing but text.
const STATUS: &str = "grpc_status";

/// An error is the last that is said of its request.
fn in_stream(error: Error, id: String) -> Body {
    let parameters = [
        (FINAL_RESPONSE, ParameterChoice::BoolParam(true)),
        (STATUS, ParameterChoice::Int64Param(error.code as i64)),
    ];
    let parameters = parameters
        .map(|(name, choice)| (name.to_owned(), InferParameter { parameter_choice: Some(choice) }))
        .into();
    let message = ModelStreamInferResponse {
        error_message: error.message.into_owned(),
        infer_response: Some(ModelInferResponse { id, parameters, ..Default::default() }),
    };
    frame(&message).into()
}
