//! One request, from its head to the head of its answer.

use crate::{
    answer::{Answer, refusal},
    body::Body,
    edge::Door,
    headers::{GRPC_TIMEOUT, is_grpc},
    plan::{Route, permission::authorize},
    request::forward,
    shared::Local,
    watch::Watch,
};
use http::{Request, Response, request::Parts};
use infermesh_policy::{Deadline, deadline};
use infermesh_wire::{Code, Error};
use std::{pin::pin, rc::Rc, sync::Arc, time::Instant};
use tokio::time::sleep_until;

/// What is known of a request once its head has been read.
pub struct Call<'a> {
    pub local: &'a Rc<Local>,
    pub door: &'a Rc<Door>,
    pub route: Arc<Route>,
    pub grpc: bool,
    pub deadline: Deadline,
    pub started: Instant,
}

/// Answers a request, whatever it is.
pub async fn handle(local: &Rc<Local>, door: &Rc<Door>, request: Request<Body>) -> Response<Answer> {
    let started = Instant::now();
    let (head, body) = request.into_parts();
    let grpc = is_grpc(&head.headers);
    let mut watch = Box::new(Watch::new(door, started, grpc));
    let (deadline, served) = match admit(local, door, &head, grpc, started) {
        Ok(call) => {
            watch.routed(&call.route);
            (call.deadline.at(), within(&call, forward::send(&call, head, body, &mut watch)).await)
        }
        Err(error) => (None, Err(error)),
    };
    let response = served.unwrap_or_else(|error| refusal(&error, grpc));
    watch.answered(&response);
    response.map(|body| Answer::new(body, grpc, deadline.map(Into::into), watch))
}

/// Finds out what the request asks for, and whether it may.
fn admit<'a>(
    local: &'a Rc<Local>,
    door: &'a Rc<Door>,
    head: &Parts,
    grpc: bool,
    started: Instant,
) -> Result<Call<'a>, Error> {
    let listener = &door.listener;
    if local.shared.connections.is_draining() {
        return Err(Error::new(Code::Unavailable, "the proxy is shutting down and takes no new requests"));
    }
    authorize(&listener.permissions, None, head)?;
    let route = listener.routes.iter().find(|route| route.matching.fits(head)).ok_or_else(|| {
        let code = if grpc { Code::Unimplemented } else { Code::NotFound };
        let (method, path) = (&head.method, head.uri.path());
        Error::new(code, format!("no route of listener '{}' matches {method} {path}", listener.name))
    })?;
    let asked = match head.headers.get(GRPC_TIMEOUT) {
        Some(value) if grpc => Some(deadline::parse(value.as_bytes()).map_err(Error::invalid)?),
        _ => None,
    };
    let deadline = Deadline::earliest(started, [asked, route.timeout]);
    Ok(Call { local, door, route: route.clone(), grpc, deadline, started })
}

/// Waits no longer than the caller does.
async fn within<T>(call: &Call<'_>, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let Some(deadline) = call.deadline.at() else { return work.await };
    let mut work = pin!(work);
    tokio::select! {
        biased;
        done = work.as_mut() => done,
        () = sleep_until(deadline.into()) => Err(Error::deadline_exceeded()),
    }
}
