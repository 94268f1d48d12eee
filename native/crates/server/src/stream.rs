//! `ModelStreamInfer`: answers in the order of the requests, errors within the stream.

use crate::{
    call::{Body, End, Messages, Reply},
    infer::{self, Terms},
    route::shutting_down,
    thread::Local,
    watch::{Origin, Watch},
};
use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesOrdered};
use http::HeaderMap;
use infermesh_wire::{
    Error,
    framing::frame,
    proto::inference::{
        InferParameter, ModelInferResponse, ModelStreamInferResponse, infer_parameter::ParameterChoice,
    },
    request::{InferRequest, Parameter},
};
use prost::Message;
use std::{future::Future, time::Instant};

/// Requests of one stream that may be under way: the next is read when one is answered.
const WINDOW: usize = 256;

/// Whether the client asked for errors as the call's status instead of as messages.
pub fn wants_status(headers: &HeaderMap) -> bool {
    headers.get("triton_grpc_error").is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"))
}

pub async fn serve(
    local: &Local,
    mut messages: Messages,
    mut reply: Reply,
    status_on_error: bool,
    origin: Option<Origin>,
) {
    reply.headers();
    let deadline = reply.deadline();
    let mut draining = local.shared.draining.subscribe();
    let mut under_way = FuturesOrdered::new();
    let mut reading = true;
    // How the call ends once everything under way is answered.
    let mut end = Ok(());
    let outcome = loop {
        if !reading && under_way.is_empty() {
            break end;
        }
        enum Event {
            Message(Result<Option<Bytes>, Error>),
            Answer(Option<Result<Body, (Error, String)>>),
            Draining,
        }
        let event = reply
            .guard(async {
                Ok(tokio::select! {
                    biased;
                    answer = under_way.next(), if !under_way.is_empty() => Event::Answer(answer),
                    message = messages.next(), if reading && under_way.len() < WINDOW => Event::Message(message),
                    _ = draining.wait_for(|draining| *draining), if reading => Event::Draining,
                })
            })
            .await;
        match event {
            End::Gone => return,
            End::Done(Err(error)) => break Err(error),
            End::Done(Ok(Event::Message(Ok(Some(message))))) => {
                under_way.push_back(answer(local, message, deadline, origin.as_ref()))
            }
            End::Done(Ok(Event::Message(Ok(None)))) => reading = false,
            // Whatever comes after a message that cannot be framed cannot be framed either.
            End::Done(Ok(Event::Message(Err(error)))) => break Err(error),
            End::Done(Ok(Event::Draining)) => {
                reading = false;
                end = Err(shutting_down());
            }
            End::Done(Ok(Event::Answer(None))) => {}
            End::Done(Ok(Event::Answer(Some(answer)))) => {
                let body = match answer {
                    Ok(body) => body,
                    Err((error, _)) if status_on_error => break Err(error),
                    Err((error, id)) => in_stream(error, id),
                };
                if !reply.send_when_read(body).await {
                    return;
                }
            }
        }
    };
    reply.close(outcome);
}

/// Queues at once, so that the order of requests is that of the stream; the future waits for the answer.
fn answer(
    local: &Local,
    message: Bytes,
    deadline: Option<Instant>,
    origin: Option<&Origin>,
) -> impl Future<Output = Result<Body, (Error, String)>> + use<> {
    let submitted = match InferRequest::decode(&message) {
        Err(error) => Err((error, String::new())),
        Ok(request) => {
            let marked =
                request.parameters.get("triton_enable_empty_final_response") == Some(Parameter::Bool(true));
            let watch = Watch::begin(local, origin.map(Origin::next), request.model_name, deadline);
            match infer::submit(local, &request, &message, Terms { deadline, trace: watch.trace() }) {
                Ok(pending) => Ok((pending, watch, marked)),
                Err(error) => {
                    watch.end(Err(&error));
                    Err((error, request.id.to_owned()))
                }
            }
        }
    };
    async move {
        let (pending, watch, marked) = submitted?;
        let id = pending.id().to_owned();
        let outcome = pending.answer().await;
        watch.end(outcome.as_ref());
        let done = outcome.map_err(|error| (error, id))?;
        let parameters = if marked { vec![final_response()] } else { Vec::new() };
        Ok(done.write_streamed(&parameters).into())
    }
}

fn in_stream(error: Error, id: String) -> Body {
    let message = ModelStreamInferResponse {
        error_message: error.message.into_owned(),
        infer_response: Some(ModelInferResponse { id, ..Default::default() }),
    };
    frame(&message).into()
}

/// The map entry `triton_final_response: true`: each request of a model that is not decoupled has one answer.
fn final_response() -> Vec<u8> {
    let parameter = InferParameter { parameter_choice: Some(ParameterChoice::BoolParam(true)) };
    let mut entry = Vec::new();
    prost::encoding::string::encode(1, &"triton_final_response".to_owned(), &mut entry);
    prost::encoding::message::encode(2, &parameter, &mut entry);
    debug_assert!(parameter.encoded_len() < entry.len());
    entry
}
