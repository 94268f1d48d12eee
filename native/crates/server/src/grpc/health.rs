//! `grpc.health.v1`: of the server (the empty name) and of its services.

use super::{
    call::{Body, End, Messages, Reply},
    route::INFERENCE,
};
use crate::shared::{Local, shutting_down};
use infermesh_wire::{
    Code, Error,
    framing::frame,
    proto::health::{
        HealthCheckRequest, HealthCheckResponse, HealthListResponse, health_check_response::ServingStatus,
    },
    reader::malformed,
};
use prost::Message;
use std::{pin::pin, rc::Rc};

const SERVICES: [&str; 2] = ["", INFERENCE];

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status as i32 }
}

fn status(ready: bool) -> HealthCheckResponse {
    answer(if ready { ServingStatus::Serving } else { ServingStatus::NotServing })
}

/// NOT_FOUND for a service that is not here.
pub fn check(local: &Local, request: HealthCheckRequest) -> Result<HealthCheckResponse, Error> {
    if SERVICES.contains(&request.service.as_str()) {
        return Ok(status(local.shared.registry.is_ready()));
    }
    Err(Error::new(Code::NotFound, format!("unknown service '{}'", request.service)))
}

pub fn list(local: &Local) -> HealthListResponse {
    let now = status(local.shared.registry.is_ready());
    HealthListResponse { statuses: SERVICES.map(|service| (service.to_owned(), now)).into() }
}

/// The status now and whenever it changes, until the client leaves or the server shuts down.
pub async fn watch(local: Rc<Local>, mut messages: Messages, mut reply: Reply) {
    let mut ready = local.shared.registry.watch_ready();
    let mut draining = local.shared.connections.draining();
    let request = reply
        .guard(pin!(async {
            let message = messages.only().await?;
            HealthCheckRequest::decode(message).map_err(|error| malformed(&error.to_string()))
        }))
        .await;
    let known = match request {
        End::Gone => return,
        End::Done(Err(error)) => return reply.close(Err(error)),
        End::Done(Ok(request)) => SERVICES.contains(&request.service.as_str()),
    };
    loop {
        let now =
            if known { status(*ready.borrow_and_update()) } else { answer(ServingStatus::ServiceUnknown) };
        if !reply.send_when_read(Body::from(frame(&now))).await {
            return;
        }
        let change = reply
            .guard(pin!(async {
                tokio::select! {
                    changed = ready.changed(), if known => changed.map_err(|_| shutting_down("GRPC")),
                    _ = draining.wait_for(|draining| *draining) => Err(shutting_down("GRPC")),
                }
            }))
            .await;
        match change {
            End::Gone => return,
            End::Done(Ok(())) => {}
            End::Done(Err(error)) => {
                // Readiness and draining may change together: the last word is the newer status.
                if known && ready.has_changed().unwrap_or(false) {
                    let now = status(*ready.borrow_and_update());
                    reply.send_when_read(Body::from(frame(&now))).await;
                }
                return reply.close(Err(error));
            }
        }
    }
}
