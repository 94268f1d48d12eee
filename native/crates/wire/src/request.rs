//! Reads a `ModelInferRequest` in place: names and tensors stay in the received buffer.

use crate::{
    Error, Shape,
    reader::{Reader, Value, malformed, text},
};
use smallvec::SmallVec;

/// Most models have a handful of tensors; so many need no allocation.
pub type Few<T> = SmallVec<[T; 4]>;

#[derive(Debug, Clone, Default)]
pub struct InferRequest<'a> {
    pub model_name: &'a str,
    pub model_version: &'a str,
    pub id: &'a str,
    pub parameters: Parameters<'a>,
    pub inputs: Few<InputTensor<'a>>,
    pub outputs: Few<RequestedOutput<'a>>,
    pub raw_input_contents: Few<&'a [u8]>,
}

#[derive(Debug, Clone, Default)]
pub struct InputTensor<'a> {
    pub name: &'a str,
    pub datatype: &'a str,
    pub shape: Shape,
    pub parameters: Parameters<'a>,
    /// The serialised `InferTensorContents`, once per occurrence (protobuf merges them); empty if absent.
    pub contents: SmallVec<[&'a [u8]; 1]>,
}

#[derive(Debug, Clone, Default)]
pub struct RequestedOutput<'a> {
    pub name: &'a str,
    pub parameters: Parameters<'a>,
}

/// The last occurrence of a key wins, as in a protobuf map.
#[derive(Debug, Clone, Default)]
pub struct Parameters<'a>(Vec<(&'a str, Parameter<'a>)>);

#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Parameter<'a> {
    #[default]
    Unset,
    Bool(bool),
    Int64(i64),
    String(&'a str),
    Double(f64),
    Uint64(u64),
}

impl Parameters<'static> {
    /// For a message without any.
    pub fn none() -> &'static Self {
        static NONE: Parameters<'static> = Parameters(Vec::new());
        &NONE
    }
}

impl<'a> Parameters<'a> {
    pub fn get(&self, key: &str) -> Option<Parameter<'a>> {
        self.0.iter().rev().find(|entry| entry.0 == key).map(|entry| entry.1)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Parameter<'a>)> + '_ {
        self.0.iter().copied()
    }

    pub fn push(&mut self, key: &'a str, parameter: Parameter<'a>) {
        self.0.push((key, parameter));
    }

    pub(crate) fn add(&mut self, entry: &'a [u8]) -> Result<(), Error> {
        let (mut key, mut parameter) = ("", Parameter::Unset);
        let mut reader = Reader::new(entry);
        while let Some(field) = reader.field()? {
            match field {
                (1, Value::Bytes(value)) => key = text(value)?,
                (2, Value::Bytes(value)) => read_parameter(value, &mut parameter)?,
                (1 | 2, _) => return Err(wrong_type("parameters")),
                _ => {}
            }
        }
        self.0.push((key, parameter));
        Ok(())
    }
}

impl<'a> InferRequest<'a> {
    /// Fails with INVALID_ARGUMENT on anything that is not a well-formed `ModelInferRequest`.
    pub fn decode(message: &'a [u8]) -> Result<Self, Error> {
        let mut request = Self::default();
        let mut reader = Reader::new(message);
        while let Some(field) = reader.field()? {
            match field {
                (1, Value::Bytes(value)) => request.model_name = text(value)?,
                (2, Value::Bytes(value)) => request.model_version = text(value)?,
                (3, Value::Bytes(value)) => request.id = text(value)?,
                (4, Value::Bytes(value)) => request.parameters.add(value)?,
                (5, Value::Bytes(value)) => request.inputs.push(read_tensor(value)?),
                (6, Value::Bytes(value)) => request.outputs.push(read_output(value)?),
                (7, Value::Bytes(value)) => request.raw_input_contents.push(value),
                (1..=7, _) => return Err(wrong_type("ModelInferRequest")),
                _ => {}
            }
        }
        Ok(request)
    }
}

/// An input of a request; outputs of answers are described with the same fields.
pub(crate) fn read_tensor(message: &[u8]) -> Result<InputTensor<'_>, Error> {
    let mut input = InputTensor::default();
    let mut reader = Reader::new(message);
    while let Some(field) = reader.field()? {
        match field {
            (1, Value::Bytes(value)) => input.name = text(value)?,
            (2, Value::Bytes(value)) => input.datatype = text(value)?,
            (3, Value::Varint(dim)) => input.shape.push(dim as i64),
            (3, Value::Bytes(packed)) => {
                let mut dims = Reader::new(packed);
                while !dims.is_empty() {
                    input.shape.push(dims.varint()? as i64);
                }
            }
            (4, Value::Bytes(value)) => input.parameters.add(value)?,
            (5, Value::Bytes(value)) => input.contents.push(value),
            (1..=5, _) => return Err(wrong_type("a tensor")),
            _ => {}
        }
    }
    Ok(input)
}

fn read_output(message: &[u8]) -> Result<RequestedOutput<'_>, Error> {
    let mut output = RequestedOutput::default();
    let mut reader = Reader::new(message);
    while let Some(field) = reader.field()? {
        match field {
            (1, Value::Bytes(value)) => output.name = text(value)?,
            (2, Value::Bytes(value)) => output.parameters.add(value)?,
            (1 | 2, _) => return Err(wrong_type("InferRequestedOutputTensor")),
            _ => {}
        }
    }
    Ok(output)
}

fn read_parameter<'a>(message: &'a [u8], parameter: &mut Parameter<'a>) -> Result<(), Error> {
    let mut reader = Reader::new(message);
    while let Some(field) = reader.field()? {
        *parameter = match field {
            (1, Value::Varint(value)) => Parameter::Bool(value != 0),
            (2, Value::Varint(value)) => Parameter::Int64(value as i64),
            (3, Value::Bytes(value)) => Parameter::String(text(value)?),
            (4, Value::Fixed64(value)) => Parameter::Double(f64::from_bits(value)),
            (5, Value::Varint(value)) => Parameter::Uint64(value),
            (1..=5, _) => return Err(wrong_type("InferParameter")),
            _ => continue,
        };
    }
    Ok(())
}

fn wrong_type(message: &str) -> Error {
    malformed(&format!("a field of {message} has the wrong wire type"))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::proto::inference::{
        self as pb,
        model_infer_request::{InferInputTensor, InferRequestedOutputTensor},
    };
    use proptest::prelude::*;
    use prost::Message;

    pub fn message() -> impl Strategy<Value = pb::ModelInferRequest> {
        let parameter = prop_oneof![
            any::<bool>().prop_map(pb::infer_parameter::ParameterChoice::BoolParam),
            any::<i64>().prop_map(pb::infer_parameter::ParameterChoice::Int64Param),
            ".*".prop_map(pb::infer_parameter::ParameterChoice::StringParam),
            any::<u64>().prop_map(pb::infer_parameter::ParameterChoice::Uint64Param),
            (-1e9..1e9).prop_map(pb::infer_parameter::ParameterChoice::DoubleParam),
        ]
        .prop_map(|choice| pb::InferParameter { parameter_choice: Some(choice) });
        let parameters = prop::collection::hash_map("[a-z]{1,5}", parameter, 0..3);
        let shape = prop::collection::vec(any::<i64>(), 0..8);
        let input = ("[a-z]{0,9}", "[A-Z0-9]{0,5}", shape, parameters.clone()).prop_map(
            |(name, datatype, shape, parameters)| InferInputTensor {
                name,
                datatype,
                shape,
                parameters,
                ..Default::default()
            },
        );
        let output = ("[a-z]{0,9}", parameters.clone())
            .prop_map(|(name, parameters)| InferRequestedOutputTensor { name, parameters });
        (
            (".*", "[0-9]*", ".*"),
            parameters,
            prop::collection::vec(input, 0..6),
            prop::collection::vec(output, 0..3),
            prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6),
        )
            .prop_map(|((model_name, model_version, id), parameters, inputs, outputs, raw)| {
                pb::ModelInferRequest {
                    model_name,
                    model_version,
                    id,
                    parameters,
                    inputs,
                    outputs,
                    raw_input_contents: raw.into_iter().map(Into::into).collect(),
                }
            })
    }

    proptest! {
        #[test]
        fn reads_what_prost_writes(message in message()) {
            let encoded = message.encode_to_vec();
            let request = InferRequest::decode(&encoded).unwrap();
            prop_assert_eq!(request.model_name, &message.model_name);
            prop_assert_eq!(request.model_version, &message.model_version);
            prop_assert_eq!(request.id, &message.id);
            prop_assert_eq!(request.parameters.iter().count(), message.parameters.len());
            for (key, value) in &message.parameters {
                use pb::infer_parameter::ParameterChoice::*;
                let expected = match value.parameter_choice.as_ref().unwrap() {
                    BoolParam(value) => Parameter::Bool(*value),
                    Int64Param(value) => Parameter::Int64(*value),
                    StringParam(value) => Parameter::String(value),
                    DoubleParam(value) => Parameter::Double(*value),
                    Uint64Param(value) => Parameter::Uint64(*value),
                };
                prop_assert_eq!(request.parameters.get(key), Some(expected));
            }
            for (ours, theirs) in request.inputs.iter().zip(&message.inputs) {
                prop_assert_eq!(ours.name, &theirs.name);
                prop_assert_eq!(ours.datatype, &theirs.datatype);
                prop_assert_eq!(&ours.shape[..], &theirs.shape[..]);
            }
            prop_assert_eq!(request.inputs.len(), message.inputs.len());
            let raw: Vec<&[u8]> = message.raw_input_contents.iter().map(|bytes| &bytes[..]).collect();
            prop_assert_eq!(request.raw_input_contents.to_vec(), raw);
        }

        #[test]
        fn accepts_what_prost_accepts(noise in prop::collection::vec(any::<u8>(), 0..60)) {
            // prost does not look at the wire type of a map's entries, which protobuf's own parsers do.
            if pb::ModelInferRequest::decode(&noise[..]).is_ok() {
                let refused = InferRequest::decode(&noise).err();
                prop_assert!(refused.is_none_or(|error| error == wrong_type("ModelInferRequest")));
            }
        }

        #[test]
        fn survives_damage(message in message(), cut in any::<prop::sample::Index>(), flip in any::<u8>()) {
            let mut encoded = message.encode_to_vec();
            if !encoded.is_empty() {
                let at = cut.index(encoded.len());
                let _ = InferRequest::decode(&encoded[..at]);
                encoded[at] ^= flip;
                let _ = InferRequest::decode(&encoded);
            }
        }
    }
}
