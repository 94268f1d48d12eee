//! The answer to an inference: values in the JSON or behind it.

use crate::{
    answer::{self, Answer},
    header::HEADER_LENGTH,
    parameters,
    tensor::to_json,
};
use bytes::Bytes;
use http::HeaderValue;
use infermesh_wire::{Error, request::Parameters, response::OutputTensor};
use serde_json::{Value, json};

/// How the values of an output travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    Json,
    Binary,
    SharedMemory,
}

/// Who answers what.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    pub model: &'a str,
    pub version: &'a str,
    /// Empty for none.
    pub id: &'a str,
    pub parameters: &'a Parameters<'a>,
}

/// Binary values stay where they are. Fails as `to_json` does for what has no form in JSON.
pub fn answer<'a>(
    head: Head<'_>,
    outputs: impl Iterator<Item = (OutputTensor<'a>, Carrier)>,
) -> Result<Answer, Error> {
    let mut text = start(head);
    text.extend_from_slice(b",\"outputs\":[");
    let mut pieces = Vec::new();
    for (index, (tensor, carrier)) in outputs.enumerate() {
        if index > 0 {
            text.push(b',');
        }
        let mut output =
            json!({ "name": tensor.name, "datatype": tensor.datatype.name(), "shape": &tensor.shape[..] });
        let mut about = parameters::to_json(tensor.parameters);
        if carrier == Carrier::Binary {
            about.insert("binary_data_size".to_owned(), tensor.data.len().into());
        }
        if !about.is_empty() {
            output["parameters"] = Value::Object(about);
        }
        text.extend_from_slice(output.to_string().as_bytes());
        match carrier {
            Carrier::SharedMemory => {}
            Carrier::Binary => {
                if pieces.is_empty() {
                    // The place of the text, which is not complete yet.
                    pieces.push(Bytes::new());
                }
                pieces.push(tensor.data);
            }
            Carrier::Json => {
                text.pop();
                text.extend_from_slice(b",\"data\":");
                to_json(&mut text, tensor.datatype, &tensor.data, tensor.name)?;
                text.push(b'}');
            }
        }
    }
    text.extend_from_slice(b"]}");
    let Some(first) = pieces.first_mut() else { return Ok(answer::json(text)) };
    let length = HeaderValue::from(text.len());
    *first = text.into();
    let mut answer = answer::typed("application/octet-stream", pieces);
    answer.headers_mut().insert(HEADER_LENGTH, length);
    Ok(answer)
}

/// An object that goes on.
fn start(Head { model, version, id, parameters }: Head<'_>) -> Vec<u8> {
    let mut head = json!({ "model_name": model, "model_version": version });
    if !id.is_empty() {
        head["id"] = id.into();
    }
    let about = parameters::to_json(parameters);
    if !about.is_empty() {
        head["parameters"] = Value::Object(about);
    }
    let mut text = head.to_string().into_bytes();
    text.pop();
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use infermesh_wire::{DataType, Shape, request::Parameter};

    fn said(id: &str, carriers: &[Carrier]) -> (Answer, String) {
        said_with(id, Parameters::none(), carriers)
    }

    fn said_with(id: &str, parameters: &Parameters<'_>, carriers: &[Carrier]) -> (Answer, String) {
        let shape = Shape::from_slice(&[1, 2]);
        let data = Bytes::from_static(&[0, 0, 0x80, 0x3f, 0, 0, 0x20, 0x40]);
        let outputs = carriers.iter().map(|&carrier| {
            let (datatype, data) = (DataType::Fp32, data.clone());
            (OutputTensor { name: "y", datatype, shape: &shape, parameters, data }, carrier)
        });
        let answer = answer(Head { model: "m", version: "3", id, parameters }, outputs).unwrap();
        let text = String::from_utf8(answer.body()[0].to_vec()).unwrap();
        (answer, text)
    }

    #[test]
    fn values_stand_in_the_json() {
        let (answer, text) = said("7", &[Carrier::Json]);
        assert_eq!(
            text,
            concat!(
                r#"{"id":"7","model_name":"m","model_version":"3","#,
                r#""outputs":[{"datatype":"FP32","name":"y","shape":[1,2],"data":[1.0,2.5]}]}"#
            )
        );
        assert_eq!((answer.body().len(), answer.headers().len()), (1, 1));
    }

    #[test]
    fn binary_values_follow_and_shared_ones_do_not() {
        let (answer, text) = said("", &[Carrier::Binary, Carrier::SharedMemory, Carrier::Binary]);
        let found: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(found.get("id").is_none());
        assert_eq!(found["outputs"][0]["parameters"]["binary_data_size"], 8);
        assert_eq!(found["outputs"][1].as_object().unwrap().len(), 3);
        assert_eq!(answer.headers()[HEADER_LENGTH], text.len().to_string()[..]);
        assert_eq!(answer.body().len(), 3);
    }

    #[test]
    fn parameters_of_the_server_are_passed_on() {
        let mut parameters = Parameters::default();
        parameters.push("k", Parameter::Int64(1));
        let text = said_with("", &parameters, &[Carrier::Binary]).1;
        let found: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(found["parameters"], json!({ "k": 1 }));
        assert_eq!(found["outputs"][0]["parameters"], json!({ "k": 1, "binary_data_size": 8 }));
    }
}
