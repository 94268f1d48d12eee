//! What is said of the server and its models.

use crate::{
    answer::{self, Answer},
    json,
};
use http::StatusCode;
use infermesh_wire::{
    Error,
    proto::inference::{
        ModelConfigResponse, ModelMetadataResponse, ModelReadyResponse, ModelStatisticsResponse,
        ServerLiveResponse, ServerMetadataResponse, ServerReadyResponse,
    },
};

pub fn server_live(found: &ServerLiveResponse) -> Answer {
    yes_or(found.live, "the server is not live")
}

pub fn server_ready(found: &ServerReadyResponse) -> Answer {
    yes_or(found.ready, "the server is not ready")
}

/// gRPC's answer is a yes or a no; who knows why not says so with `model_not_ready`.
pub fn model_ready(found: &ModelReadyResponse) -> Answer {
    yes_or(found.ready, NOT_READY)
}

pub fn model_not_ready(why: &Error) -> Answer {
    yes_or(false, &format!("{NOT_READY}: {why}"))
}

const NOT_READY: &str = "Model version not ready";

/// As Triton answers: not "try again", as it would be for an inference.
fn yes_or(yes: bool, no: &str) -> Answer {
    if yes { answer::empty() } else { answer::refusal(StatusCode::BAD_REQUEST, no) }
}

pub fn server_metadata(found: &ServerMetadataResponse) -> Result<Answer, Error> {
    json::of(found, "ServerMetadataResponse", true).map(answer::json)
}

pub fn model_metadata(found: &ModelMetadataResponse) -> Result<Answer, Error> {
    json::of(found, "ModelMetadataResponse", true).map(answer::json)
}

pub fn model_config(found: &ModelConfigResponse) -> Result<Answer, Error> {
    let none = Default::default();
    json::of(found.config.as_ref().unwrap_or(&none), "ModelConfig", true).map(answer::json)
}

pub fn statistics(found: &ModelStatisticsResponse) -> Result<Answer, Error> {
    json::of(found, "ModelStatisticsResponse", true).map(answer::json)
}
