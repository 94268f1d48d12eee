//! From a path to the one who answers it.

use super::{
    answer::{self, Answer},
    body, errors, infer, json,
    path::{Aspect, Route},
    settings, shared_memory,
};
use crate::{
    control::{describe, statistics},
    shared::Local,
};
use base64::{Engine, prelude::BASE64_STANDARD as BASE64};
use bytes::Bytes;
use hyper::{Method, Request, StatusCode, body::Incoming};
use infermesh_transport::budget::Hold;
use infermesh_wire::{
    Error,
    proto::inference::{
        ModelConfigRequest, ModelMetadataRequest, ModelRepositoryParameter, ModelStatisticsRequest,
        RepositoryIndexRequest, RepositoryModelLoadRequest, RepositoryModelUnloadRequest,
        model_repository_parameter::ParameterChoice,
    },
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use std::{collections::HashMap, rc::Rc};

/// Every path that `Route` knows; a test holds one against the other.
pub const OPENAPI: &str = include_str!("openapi.json");

/// Answers one request, whatever it is.
pub async fn serve(local: Rc<Local>, request: Request<Incoming>) -> Answer {
    let Some(route) = Route::parse(request.uri().path()) else {
        return answer::unknown_path(request.uri().path());
    };
    let fits = match route.method() {
        "POST" => request.method() == Method::POST,
        "GET" => matches!(*request.method(), Method::GET | Method::HEAD),
        _ => matches!(*request.method(), Method::GET | Method::HEAD | Method::POST),
    };
    if !fits {
        return answer::wrong_method(route.method());
    }
    handle(&local, route, request).await.unwrap_or_else(errors::answer)
}

async fn handle(local: &Local, route: Route, request: Request<Incoming>) -> Result<Answer, Error> {
    if let Route::Model { name, version, aspect: Aspect::Infer } = &route {
        return infer::serve(local, name, version, request).await;
    }
    let (head, body) = request.into_parts();
    // Read even where it says nothing, so that the connection can be used again.
    let mut hold = Hold::none(&local.purse);
    let body = body::receive(local, &head.headers, body, &mut hold).await?;
    let body = if head.method == Method::POST { body } else { Bytes::new() };
    Box::pin(about(local, route, body)).await
}

/// Everything but inference.
async fn about(local: &Local, route: Route, body: Bytes) -> Result<Answer, Error> {
    match route {
        Route::Live => Ok(answer::empty()),
        Route::Ready if describe::server_ready(local).ready => Ok(answer::empty()),
        // As Triton answers: not "try again", as it would be for an inference.
        Route::Ready => Ok(answer::refusal(StatusCode::BAD_REQUEST, "the server is not ready")),
        Route::OpenApi => Ok(answer::typed("application/json", [Bytes::from_static(OPENAPI.as_bytes())])),
        Route::Server => {
            json::of(&describe::server_metadata(local), "ServerMetadataResponse", true).map(answer::json)
        }
        Route::Index => {
            let Index { ready } = parsed(&body)?;
            let index =
                describe::repository_index(local, RepositoryIndexRequest { ready, ..Default::default() });
            let models =
                index.models.iter().map(|model| json::of(model, "RepositoryIndexResponse.ModelIndex", false));
            json::array(models).map(answer::json)
        }
        Route::Load(model_name) => {
            let parameters = parsed::<Control>(&body)?.parameters()?;
            describe::load(
                local,
                RepositoryModelLoadRequest { model_name, parameters, ..Default::default() },
            )
            .await?;
            Ok(answer::empty())
        }
        Route::Unload(model_name) => {
            let parameters = parsed::<Control>(&body)?.parameters()?;
            describe::unload(
                local,
                RepositoryModelUnloadRequest { model_name, parameters, ..Default::default() },
            )
            .await?;
            Ok(answer::empty())
        }
        Route::Traces(model) => settings::trace(local, model, parsed(&body)?),
        Route::Logging => settings::log(local, parsed(&body)?).await,
        Route::SharedMemory { kind, region, action } => {
            shared_memory::serve(local, kind, region, action, &body).await
        }
        Route::AllStatistics => statistics(local, String::new(), String::new()),
        Route::Model { name, version, aspect } => model(local, name, version, aspect),
    }
}

fn model(local: &Local, name: String, version: String, aspect: Aspect) -> Result<Answer, Error> {
    match aspect {
        // gRPC's answer is a yes or a no; here there is room to say why not.
        Aspect::Ready | Aspect::Infer => match local.shared.registry.find(&name, &version) {
            Ok(_) => Ok(answer::empty()),
            Err(error) => {
                let message = format!("Model version not ready: {error}");
                Ok(answer::refusal(StatusCode::BAD_REQUEST, &message))
            }
        },
        Aspect::Metadata => {
            let metadata = describe::model_metadata(local, ModelMetadataRequest { name, version })?;
            json::of(&metadata, "ModelMetadataResponse", true).map(answer::json)
        }
        Aspect::Config => {
            let config = describe::model_config(local, ModelConfigRequest { name, version })?.config;
            json::of(&config.unwrap_or_default(), "ModelConfig", true).map(answer::json)
        }
        Aspect::Statistics => statistics(local, name, version),
    }
}

fn statistics(local: &Local, name: String, version: String) -> Result<Answer, Error> {
    let found = statistics::model_statistics(local, ModelStatisticsRequest { name, version })?;
    json::of(&found, "ModelStatisticsResponse", true).map(answer::json)
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Index {
    ready: bool,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Control {
    parameters: serde_json::Map<String, Value>,
}

impl Control {
    fn parameters(self) -> Result<HashMap<String, ModelRepositoryParameter>, Error> {
        let parameters = self.parameters.into_iter().map(|(key, value)| {
            let choice = match value {
                Value::Bool(value) => ParameterChoice::BoolParam(value),
                // The one parameter whose bytes are not text: JSON carries them in base64.
                Value::String(value) if key.starts_with("file:") => ParameterChoice::BytesParam(
                    BASE64
                        .decode(value)
                        .map_err(|error| {
                            Error::invalid(format!(
                                "failed to decode the base64 of load parameter '{key}': {error}"
                            ))
                        })?
                        .into(),
                ),
                Value::String(value) => ParameterChoice::StringParam(value),
                Value::Number(value) if value.is_i64() => {
                    ParameterChoice::Int64Param(value.as_i64().unwrap_or_default())
                }
                _ => {
                    return Err(Error::invalid(format!(
                        "parameter '{key}' is neither a boolean, an integer nor a string"
                    )));
                }
            };
            Ok((key, ModelRepositoryParameter { parameter_choice: Some(choice) }))
        });
        parameters.collect()
    }
}

/// An empty body asks for nothing in particular.
pub fn parsed<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, Error> {
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(body)
        .map_err(|error| Error::invalid(format!("failed to parse the request JSON buffer: {error}")))
}
