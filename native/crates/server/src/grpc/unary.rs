//! Calls of one message and one answer.

use super::{
    call::{Answered, Messages, Reply},
    route,
};
use crate::{
    inference::infer::{Done, Pending, Terms, submit},
    observe::watch::{Origin, Watch},
    shared::Local,
};
use bytes::Bytes;
use http::Uri;
use infermesh_batcher::Answer;
use infermesh_wire::{Error, request::InferRequest};
use std::{pin::pin, rc::Rc, time::Instant};

/// `ModelInfer`; `timed`: the caller wants to know how long its request waits. As blocks, not as functions that are `async`: those have room for each argument twice, and this task is
/// made and moved for every request.
#[allow(clippy::manual_async_fn)]
pub fn infer(
    local: Rc<Local>,
    mut messages: Messages,
    mut reply: Reply,
    origin: Option<Box<Origin>>,
    timed: bool,
) -> impl Future<Output = ()> {
    async move {
        let deadline = reply.deadline();
        let end = reply
            .guard(pin!(async {
                let message = messages.only().await?;
                let (watch, mut accepted) = accept(&local, message, deadline, origin)?;
                let answer = match &mut accepted {
                    Ok(pending) => pending.wait().await,
                    Err(error) => Err(error.clone()),
                };
                finish(watch, accepted, answer, timed)
            }))
            .await;
        reply.end(end);
    }
}

/// Whatever is no inference and has one answer.
pub async fn control(local: Rc<Local>, mut messages: Messages, mut reply: Reply, uri: Uri) {
    let end = reply
        .guard(pin!(async {
            let message = messages.only().await?;
            route::control(&local, uri.path(), message).await.map(Answered::from)
        }))
        .await;
    reply.end(end);
}

fn finish(
    watch: Watch,
    accepted: Result<Pending, Error>,
    answer: Result<Answer, Error>,
    timed: bool,
) -> Result<Answered, Error> {
    let outcome = accepted.and_then(|pending| pending.done(answer?));
    watch.end(outcome.as_ref().map(Done::told));
    let done = outcome?;
    Ok(Answered { body: done.write().into(), queued: if timed { done.queued() } else { None } })
}

/// Apart from the wait that follows, which need not hold the request in the form that is read here.
fn accept(
    local: &Local,
    message: Bytes,
    deadline: Option<Instant>,
    origin: Option<Box<Origin>>,
) -> Result<(Watch, Result<Pending, Error>), Error> {
    let request = InferRequest::decode(&message)?;
    let watch = Watch::begin(local, origin, request.model_name, deadline);
    let terms = Terms { deadline, trace: watch.trace(), has_own_task: true };
    let accepted = local.shared.registry.on(request.model_name, request.model_version, |version| {
        version.check_answers_once("ModelInfer RPC")?;
        submit(local, version, &request, &message, terms)
    });
    Ok((watch, accepted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_task_of_an_inference_is_small() {
        fn size<A, B, C, D, E, F>(_: impl Fn(A, B, C, D, E) -> F) -> usize {
            size_of::<F>()
        }
        // It was ten times as large, and moving it a sixth of a small request's cost.
        assert!(size(infer) <= 640, "{} bytes", size(infer));
    }
}
