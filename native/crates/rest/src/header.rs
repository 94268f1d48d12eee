//! The JSON part of an inference request.

use bytes::Bytes;
use infermesh_wire::{
    Error, Shape,
    request::{InferRequest, InputTensor, Parameter, Parameters, RequestedOutput},
};
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};
use std::borrow::Cow;

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
        serde_json::from_slice(text)
            .map_err(|error| Error::invalid(format!("failed to parse the request JSON buffer: {error}")))
    }

    /// The request as every edge has it.
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

    /// For each output that is answered, whether in binary; `outputs` is how many the model answers with.
    pub fn binary_outputs(&self, outputs: usize) -> Vec<bool> {
        let flag = |parameters: &Map<String, Value>, key| parameters.get(key).and_then(Value::as_bool);
        let usual = flag(&self.parameters, "binary_data_output").unwrap_or(false);
        if self.outputs.is_empty() {
            return vec![usual; outputs];
        }
        self.outputs.iter().map(|it| flag(&it.parameters, "binary_data").unwrap_or(usual)).collect()
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

fn parameters(given: &Map<String, Value>) -> Result<Parameters<'_>, Error> {
    let mut parameters = Parameters::default();
    for (key, value) in given {
        let value = match value {
            Value::Bool(value) => Parameter::Bool(*value),
            Value::String(value) => Parameter::String(value),
            Value::Number(value) => match (value.as_i64(), value.as_u64(), value.as_f64()) {
                (Some(value), _, _) => Parameter::Int64(value),
                (_, Some(value), _) => Parameter::Uint64(value),
                (_, _, value) => Parameter::Double(value.unwrap_or_default()),
            },
            Value::Null => Parameter::Unset,
            Value::Array(_) | Value::Object(_) => {
                return Err(Error::invalid(format!(
                    "parameter '{key}' is neither a boolean, a number nor a string"
                )));
            }
        };
        parameters.push(key, value);
    }
    Ok(parameters)
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
        let flags = |text: &str| Header::parse(text.as_bytes()).unwrap().binary_outputs(2);
        assert_eq!(flags(r#"{"inputs": []}"#), [false, false]);
        assert_eq!(flags(r#"{"inputs": [], "parameters": {"binary_data_output": true}}"#), [true, true]);
        let mixed = r#"{"inputs": [], "parameters": {"binary_data_output": true},
            "outputs": [{"name": "y"}, {"name": "z", "parameters": {"binary_data": false}}]}"#;
        assert_eq!(flags(mixed), [true, false]);
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
