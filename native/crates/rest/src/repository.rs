//! Requests about the repository of models, and the index of what is in it.

use crate::{
    answer::{self, Answer},
    json,
};
use base64::{Engine, prelude::BASE64_STANDARD as BASE64};
use infermesh_wire::{
    Error,
    proto::inference::{
        ModelRepositoryParameter, RepositoryIndexRequest, RepositoryIndexResponse,
        RepositoryModelLoadRequest, RepositoryModelUnloadRequest,
        model_repository_parameter::ParameterChoice,
    },
};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::HashMap;

pub fn index_request(body: &[u8]) -> Result<RepositoryIndexRequest, Error> {
    let Index { ready } = json::parsed(body)?;
    Ok(RepositoryIndexRequest { ready, ..Default::default() })
}

/// An array of models; what is not known of one is left out.
pub fn index(found: &RepositoryIndexResponse) -> Result<Answer, Error> {
    let models = found.models.iter().map(|it| json::of(it, "RepositoryIndexResponse.ModelIndex", false));
    json::array(models).map(answer::json)
}

pub fn load_request(model_name: String, body: &[u8]) -> Result<RepositoryModelLoadRequest, Error> {
    let parameters = json::parsed::<Control>(body)?.parameters()?;
    Ok(RepositoryModelLoadRequest { model_name, parameters, ..Default::default() })
}

pub fn unload_request(model_name: String, body: &[u8]) -> Result<RepositoryModelUnloadRequest, Error> {
    let parameters = json::parsed::<Control>(body)?.parameters()?;
    Ok(RepositoryModelUnloadRequest { model_name, parameters, ..Default::default() })
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Index {
    ready: bool,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Control {
    parameters: Map<String, Value>,
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

#[cfg(test)]
mod tests {
    use super::*;
    use infermesh_wire::proto::inference::repository_index_response::ModelIndex;

    #[test]
    fn a_load_has_parameters_of_four_kinds() {
        let body = br#"{"parameters": {"a": true, "b": -1, "config": "{}", "file:1/model.onnx": "AAE="}}"#;
        let request = load_request("m".into(), body).unwrap();
        let found = |key: &str| request.parameters[key].parameter_choice.clone().unwrap();
        assert_eq!(found("a"), ParameterChoice::BoolParam(true));
        assert_eq!(found("b"), ParameterChoice::Int64Param(-1));
        assert_eq!(found("config"), ParameterChoice::StringParam("{}".into()));
        assert_eq!(found("file:1/model.onnx"), ParameterChoice::BytesParam(vec![0, 1].into()));
        assert_eq!(load_request("m".into(), b"").unwrap().parameters, HashMap::new());
    }

    #[test]
    fn what_is_no_parameter_is_named() {
        for (body, named) in [
            (r#"{"parameters": {"k": 0.5}}"#, "parameter 'k'"),
            (r#"{"parameters": {"file:x": "?"}}"#, "load parameter 'file:x'"),
            ("[", "failed to parse"),
        ] {
            let error = unload_request("m".into(), body.as_bytes()).unwrap_err();
            assert!(error.message.contains(named), "{error}");
        }
    }

    #[test]
    fn an_index_leaves_out_what_is_empty() {
        let model = ModelIndex { name: "m".into(), state: "READY".into(), ..Default::default() };
        let answer = index(&RepositoryIndexResponse { models: vec![model.clone(), model] }).unwrap();
        let one = r#"{"name":"m","state":"READY"}"#;
        assert_eq!(answer.body().concat(), format!("[{one},{one}]").as_bytes());
    }
}
