//! The JSON part of an inference request.

use crate::{infer::Carrier, json::no_request, parameters::from_json as parameters};
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use infermesh_wire::{
    Error, Shape,
    request::{InferRequest, InputTensor, RequestedOutput},
};
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};
use std::borrow::Cow;

/// How long the JSON part of a body is; the binary part follows it.
pub const HEADER_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

/// What `HEADER_LENGTH` says of a body of so many bytes. `None` where the client does not say: then all of it is JSON.
pub fn header_length(value: Option<&HeaderValue>, body: usize) -> Result<Option<usize>, Error> {
    let Some(value) = value else { return Ok(None) };
    let length = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    length.filter(|&length: &usize| length <= body).map(Some).ok_or_else(|| {
        Error::invalid(format!(
            "{HEADER_LENGTH} is '{}', expected at most the {body} bytes of the body",
            value.as_bytes().escape_ascii()
        ))
    })
}

#[derive(Deserialize)]
pub struct Header<'a> {
    #[serde(borrow, default)]
    pub id: Cow<'a, str>,
    #[serde(default)]
    parameters: Map<String, Value>,
    #[serde(borrow)]
    inputs: Vec<Input<'a>>,
    #[serde(borrow, default)]
    outputs: Vec<Output<'a>>,
}

#[derive(Deserialize)]
struct Input<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    datatype: Cow<'a, str>,
    shape: Vec<i64>,
    #[serde(default)]
    parameters: Map<String, Value>,
    /// Read when the model has said which type it must have.
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(default)]
    parameters: Map<String, Value>,
}

const REGION: &str = "shared_memory_region";

/// Where an input's values are.
pub enum Data<'a> {
    Json(&'a str),
    Binary(Bytes),
    SharedMemory,
}

impl<'a> Header<'a> {
    /// Fails with INVALID_ARGUMENT on anything that is not the JSON of an inference request.
    pub fn parse(text: &'a [u8]) -> Result<Self, Error> {
        serde_json::from_slice(text).map_err(|error| no_request(&error))
    }

    /// The request as every edge has it: without what only says how values travel over HTTP.
    pub fn request<'h>(&'h self, model: &'h str, version: &'h str) -> Result<InferRequest<'h>, Error> {
        let inputs = self.inputs.iter().map(|input| {
            Ok(InputTensor {
                name: &input.name,
                datatype: &input.datatype,
                shape: Shape::from_slice(&input.shape),
                parameters: parameters(&input.parameters)?,
                ..Default::default()
            })
        });
        let outputs = self.outputs.iter().map(|output| {
            let asks = |key| output.parameters.get(key);
            if asks(REGION).is_some() && asks("binary_data") == Some(&Value::Bool(true)) {
                return Err(Error::invalid(format!("Output can't set both '{REGION}' and 'binary_data'")));
            }
            Ok(RequestedOutput { name: &output.name, parameters: parameters(&output.parameters)? })
        });
        Ok(InferRequest {
            model_name: model,
            model_version: version,
            id: &self.id,
            parameters: parameters(&self.parameters)?,
            inputs: inputs.collect::<Result<_, Error>>()?,
            outputs: outputs.collect::<Result<_, Error>>()?,
            ..Default::default()
        })
    }

    /// Each input's values, in the order of the request: in the JSON, or the next bytes of `tail`.
    pub fn data(&self, mut tail: Bytes) -> Result<Vec<Data<'a>>, Error> {
        let mut all = Vec::with_capacity(self.inputs.len());
        for input in &self.inputs {
            let name = &input.name;
            let size = input.parameters.get("binary_data_size");
            all.push(match (input.data, size, input.parameters.contains_key(REGION)) {
                (Some(data), None, false) => Data::Json(data.get()),
                (None, Some(size), false) => Data::Binary(split(&mut tail, size, name)?),
                (None, None, true) => Data::SharedMemory,
                (data, size, shared) => {
                    let fields =
                        [(data.is_some(), "data"), (size.is_some(), "binary_data_size"), (shared, REGION)];
                    return Err(not_one_place(name, fields));
                }
            });
        }
        if !tail.is_empty() {
            return Err(Error::invalid(format!(
                "unexpected additional input data for model: {} bytes belong to no input",
                tail.len()
            )));
        }
        Ok(all)
    }

    /// How each output is to travel.
    pub fn carriers(&self) -> Carriers<'_> {
        let flag = |parameters: &Map<String, Value>, key| parameters.get(key).and_then(Value::as_bool);
        let of = |binary| if binary { Carrier::Binary } else { Carrier::Json };
        let usual = of(flag(&self.parameters, "binary_data_output").unwrap_or(false));
        let named = self.outputs.iter().map(|Output { name, parameters }| {
            let carrier = match parameters.contains_key(REGION) {
                true => Carrier::SharedMemory,
                false => flag(parameters, "binary_data").map_or(usual, of),
            };
            (Cow::Borrowed(&name[..]), carrier)
        });
        Carriers { named: named.collect(), usual }
    }
}

/// How a request wants its outputs to travel.
#[derive(Debug)]
pub struct Carriers<'a> {
    named: Vec<(Cow<'a, str>, Carrier)>,
    /// Of those that it does not name.
    usual: Carrier,
}

impl Carriers<'_> {
    /// Every output in the same way.
    pub fn all(usual: Carrier) -> Self {
        Self { named: Vec::new(), usual }
    }

    pub fn of(&self, output: &str) -> Carrier {
        self.named.iter().find(|(name, _)| name == output).map_or(self.usual, |&(_, carrier)| carrier)
    }

    /// Kept beyond the request.
    pub fn into_owned(self) -> Carriers<'static> {
        let named = self.named.into_iter();
        Carriers {
            named: named.map(|(name, carrier)| (Cow::Owned(name.into_owned()), carrier)).collect(),
            usual: self.usual,
        }
    }
}

/// The next bytes, as many as an input's `binary_data_size` says.
fn split(tail: &mut Bytes, size: &Value, input: &str) -> Result<Bytes, Error> {
    let size = size.as_u64().and_then(|size| usize::try_from(size).ok()).ok_or_else(|| {
        Error::invalid(format!("binary_data_size of input '{input}' is {size}, expected a size"))
    })?;
    if size > tail.len() {
        return Err(Error::invalid(format!(
            "unexpected size for input '{input}', expecting {} additional bytes",
            size - tail.len()
        )));
    }
    Ok(tail.split_to(size))
}

fn not_one_place(input: &str, fields: [(bool, &str); 3]) -> Error {
    let set: String =
        fields.iter().filter(|(is_set, _)| *is_set).map(|(_, field)| format!(" '{field}'")).collect();
    let found = if set.is_empty() { " no field is set".to_owned() } else { format!(" set{set}") };
    Error::invalid(format!(
        "Input must set only one of the following fields: 'data', 'binary_data_size' in 'parameters', '{REGION}' in 'parameters'. But{found} for input '{input}'"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str, tail: &'static [u8]) -> String {
        let result = Header::parse(text.as_bytes()).and_then(|it| it.data(tail.into()).map(drop));
        result.unwrap_err().message.into_owned()
    }

    #[test]
    fn tails_follow_in_the_order_of_inputs() {
        let text = r#"{"inputs": [
            {"name": "a", "datatype": "UINT8", "shape": [2], "parameters": {"binary_data_size": 2}},
            {"name": "b", "datatype": "UINT8", "shape": [1], "data": [7]},
            {"name": "c", "datatype": "UINT8", "shape": [1], "parameters": {"binary_data_size": 1}}]}"#;
        let header = Header::parse(text.as_bytes()).unwrap();
        let data = header.data(Bytes::from_static(&[1, 2, 3])).unwrap();
        let [Data::Binary(a), Data::Json(b), Data::Binary(c)] = &data[..] else { panic!("another order") };
        assert_eq!((&a[..], *b, &c[..]), (&[1, 2][..], "[7]", &[3][..]));
        assert!(refused(text, &[1, 2]).contains("'c', expecting 1 additional"));
        assert!(refused(text, &[1, 2, 3, 4]).contains("1 bytes belong to no input"));
    }

    #[test]
    fn an_input_has_its_values_in_one_place() {
        let input = |rest: &str| {
            format!(r#"{{"inputs": [{{"name": "a", "datatype": "UINT8", "shape": [1]{rest}}}]}}"#)
        };
        assert!(refused(&input(""), &[]).contains("But no field is set for input 'a'"));
        let both = r#", "data": [1], "parameters": {"binary_data_size": 1}"#;
        assert!(refused(&input(both), &[1]).contains("But set 'data' 'binary_data_size'"));
        let negative = r#", "parameters": {"binary_data_size": -1}"#;
        assert!(refused(&input(negative), &[1]).contains("expected a size"));
    }

    #[test]
    fn binary_outputs_are_asked_for_one_by_one_or_all_at_once() {
        use Carrier::*;
        let carriers = |text: &str| {
            let carriers = Header::parse(text.as_bytes()).unwrap().carriers().into_owned();
            ["y", "z", "s"].map(|output| carriers.of(output))
        };
        assert_eq!(carriers(r#"{"inputs": []}"#), [Json; 3]);
        assert_eq!(carriers(r#"{"inputs": [], "parameters": {"binary_data_output": true}}"#), [Binary; 3]);
        let mixed = r#"{"inputs": [], "parameters": {"binary_data_output": true},
            "outputs": [{"name": "y"}, {"name": "z", "parameters": {"binary_data": false}},
            {"name": "s", "parameters": {"shared_memory_region": "r"}}]}"#;
        assert_eq!(carriers(mixed), [Binary, Json, SharedMemory]);
    }

    #[test]
    fn the_json_part_is_as_long_as_the_header_says() {
        let of = |value: &'static str| header_length(Some(&HeaderValue::from_static(value)), 9);
        assert_eq!(header_length(None, 9), Ok(None));
        assert_eq!((of("0"), of(" 9 ")), (Ok(Some(0)), Ok(Some(9))));
        for wrong in ["10", "-1", "x", ""] {
            assert!(of(wrong).unwrap_err().message.contains("at most the 9 bytes"), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for text in ["", "[]", "{}", "{\"inputs\": 1}", "{\"inputs\": [{}]}", "{\"inputs\": []} x", "\u{1}"] {
            assert!(refused(text, &[]).starts_with("failed to parse the request JSON buffer"), "{text}");
        }
        let header = Header::parse(br#"{"inputs": [], "parameters": {"k": []}}"#).unwrap();
        assert!(header.request("m", "").unwrap_err().message.contains("parameter 'k'"));
    }
}
