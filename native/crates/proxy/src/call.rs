//! One request, from its head to the head of its answer.

use crate::{
    answer::{Answer, refusal},
    body::{Body, linger},
    edge::Door,
    headers::{GRPC_TIMEOUT, is_grpc},
    infer,
    limit::{self, Turn},
    origin::Origin,
    plan::{Route, permission::authorize},
    request::{enriched, forward, sample},
    shared::Local,
    transcode,
    watch::Watch,
};
use http::{Response, request::Parts};
use infermesh_policy::{Deadline, deadline};
use infermesh_transport::tls::spiffe::SpiffeId;
use infermesh_wire::{Code, Error};
use std::{
    future::poll_fn,
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    task::Poll,
    time::Instant,
};
use tokio::time::sleep_until;

/// What is known of a request once its head has been read.
pub struct Call<'a> {
    pub local: &'a Rc<Local>,
    pub door: &'a Rc<Door>,
    pub origin: &'a Rc<Origin>,
    pub route: Arc<Route>,
    pub grpc: bool,
    pub deadline: Deadline,
    pub started: Instant,
    /// What tells its limits how it ends.
    pub turn: Option<Rc<Turn>>,
}

/// Answers a request, whatever it is.
pub async fn handle(
    local: &Rc<Local>,
    door: &Rc<Door>,
    mut head: Box<Parts>,
    body: Body,
) -> Response<Answer> {
    let started = Instant::now();
    let grpc = is_grpc(&head.headers);
    let origin = Origin::of(local, door, &mut head, grpc, started);
    let mut watch = Box::new(Watch::new(&origin));
    let (deadline, served) = match admit(local, door, &origin, &head) {
        Ok(mut call) => {
            watch.routed(&call.route);
            let deadline = call.deadline;
            let body = sample::begin(&call, &head, body, &mut watch);
            let work = pin!(serve(&mut call, head, body, &mut watch));
            (deadline.at(), within(deadline, work).await)
        }
        Err(error) => {
            linger(body);
            (None, Err(error))
        }
    };
    let response = served.unwrap_or_else(|error| {
        watch.refused(&error);
        refusal(&error, grpc)
    });
    watch.answered(&response);
    response.map(|body| Answer::new(body, grpc, deadline.map(Into::into), watch))
}

/// Takes an admitted request to the head of its answer.
async fn serve(
    call: &mut Call<'_>,
    mut head: Box<Parts>,
    mut body: Body,
    watch: &mut Watch,
) -> Result<Response<Body>, Error> {
    call.turn = match limit::enter(call, &mut head.headers).await {
        Ok(turn) => turn,
        Err(error) => {
            linger(body);
            return Err(error);
        }
    };
    watch.hold(call.turn.clone());
    if !call.route.on_request.rules.is_empty() {
        body = Box::pin(enriched::request(call, &mut head, body)).await?;
    }
    if !call.route.on_response.rules.is_empty() {
        return Box::pin(enriched::exchange(call, head, body, watch)).await;
    }
    if call.route.transcodes && !call.grpc {
        return Box::pin(transcode::serve(call, head, body)).await;
    }
    if call.grpc && infer::looks_at(call, head.uri.path()) {
        return Box::pin(infer::serve(call, head, body)).await;
    }
    forward::send(call, call.route.cluster.next(), head, body, watch).await
}

/// Finds out what the request asks for, and whether it may.
fn admit<'a>(
    local: &'a Rc<Local>,
    door: &'a Rc<Door>,
    origin: &'a Rc<Origin>,
    head: &Parts,
) -> Result<Call<'a>, Error> {
    let (listener, grpc, started) = (&door.listener, origin.grpc, origin.started);
    authorize(&listener.permissions, door.peer.identity.as_deref().map(SpiffeId::as_str), head)?;
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
    Ok(Call { local, door, origin, route: route.clone(), grpc, deadline, started, turn: None })
}

/// Waits no longer than the caller does.
pub async fn within<T>(
    deadline: Deadline,
    mut work: Pin<&mut impl Future<Output = Result<T, Error>>>,
) -> Result<T, Error> {
    let mut expiry = deadline.at().map(|at| Box::pin(sleep_until(at.into())));
    poll_fn(|context| {
        if let Poll::Ready(done) = work.as_mut().poll(context) {
            return Poll::Ready(done);
        }
        match &mut expiry {
            Some(expiry) => expiry.as_mut().poll(context).map(|()| Err(Error::deadline_exceeded())),
            None => Poll::Pending,
        }
    })
    .await
}
