//! What an answer says: whether it is an error, whether it is the last, whether it holds what was expected.

use crate::{
    failure::{Failure, Kind},
    proto::{ExpectedTensor, Tolerance},
};
use bytes::{Buf, Bytes};
use infermesh_wire::{
    DataType, contents,
    datatype::elements,
    proto::inference::{ModelInferResponse, ModelStreamInferResponse, infer_parameter::ParameterChoice},
};
use prost::Message;
use serde_json::Value;

/// One message of a ModelStreamInfer.
#[derive(Debug)]
pub struct Streamed {
    pub response: ModelInferResponse,
    /// It says that it is the last.
    pub is_final: bool,
    /// It is nothing but the end.
    pub is_empty: bool,
}

/// One output of an answer.
struct Output {
    name: String,
    datatype: String,
    shape: Vec<i64>,
    data: Data,
}

enum Data {
    /// As raw contents have it.
    Raw(Bytes),
    Json(Vec<Value>),
}

/// Reads a message of a stream; an error in it is the request's.
pub fn streamed(message: Bytes) -> Result<Streamed, Failure> {
    let message = ModelStreamInferResponse::decode(message)
        .map_err(|error| Failure::protocol(format!("an answer that is none: {error}")))?;
    let response = message.infer_response.unwrap_or_default();
    let parameter =
        |name: &str| response.parameters.get(name).and_then(|found| found.parameter_choice.as_ref());
    if !message.error_message.is_empty() {
        // Servers that do not say which status it was are taken at their word alone.
        let code = match parameter("grpc_status") {
            Some(ParameterChoice::Int64Param(code)) => u8::try_from(*code).unwrap_or(2),
            _ => 2,
        };
        return Err(Failure::status(code, message.error_message));
    }
    let is_final = matches!(parameter("triton_final_response"), Some(ParameterChoice::BoolParam(true)));
    let is_empty = is_final && response.outputs.is_empty();
    Ok(Streamed { response, is_final, is_empty })
}

/// Holds a serialised ModelInferResponse against what was expected.
pub fn check_grpc(message: Bytes, expected: &[ExpectedTensor], tolerance: &Tolerance) -> Result<(), Failure> {
    let response = ModelInferResponse::decode(message)
        .map_err(|error| Failure::protocol(format!("an answer that is none: {error}")))?;
    check_response(response, expected, tolerance)
}

pub fn check_response(
    response: ModelInferResponse,
    expected: &[ExpectedTensor],
    tolerance: &Tolerance,
) -> Result<(), Failure> {
    let mut raw = response.raw_output_contents.into_iter();
    let mut outputs = Vec::with_capacity(response.outputs.len());
    for output in response.outputs {
        let data = match (&output.contents, DataType::from_name(&output.datatype)) {
            (Some(given), Some(datatype)) => {
                contents::to_raw(&[&given.encode_to_vec()], datatype, &output.name)
                    .map_err(|error| wrong(error.message))?
            }
            _ => raw.next().unwrap_or_default(),
        };
        outputs.push(Output {
            name: output.name,
            datatype: output.datatype,
            shape: output.shape,
            data: Data::Raw(data),
        });
    }
    check(&outputs, expected, tolerance)
}

/// Holds an answer of HTTP against what was expected: four bytes that give the length of its JSON, then all of it.
pub fn check_http(
    mut body: Bytes,
    expected: &[ExpectedTensor],
    tolerance: &Tolerance,
) -> Result<(), Failure> {
    let protocol = |what: &str| Failure::protocol(format!("an answer that is none: {what}"));
    let length = body.try_get_u32().map_err(|_| protocol("it is empty"))? as usize;
    let json = body.split_to(length.min(body.len()));
    let Value::Object(mut answer) =
        serde_json::from_slice(&json).map_err(|error| protocol(&error.to_string()))?
    else {
        return Err(protocol("it is no object"));
    };
    let Some(Value::Array(listed)) = answer.remove("outputs") else { return Err(protocol("no outputs")) };
    let mut outputs = Vec::with_capacity(listed.len());
    for output in listed {
        let Value::Object(mut output) = output else { return Err(protocol("an output that is no object")) };
        let text = |name: &str| output.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (name, datatype) = (text("name"), text("datatype"));
        let shape = output.get("shape").and_then(Value::as_array).into_iter().flatten();
        let shape = shape.filter_map(Value::as_i64).collect();
        let size = output.get("parameters").and_then(|parameters| parameters.get("binary_data_size"));
        let data = match size.and_then(Value::as_u64) {
            Some(size) if size > body.len() as u64 => return Err(protocol("its binary part is too short")),
            Some(size) => Data::Raw(body.split_to(size as usize)),
            None => Data::Json(match output.remove("data") {
                Some(Value::Array(data)) => flat(data),
                _ => return Err(protocol("an output without data")),
            }),
        };
        outputs.push(Output { name, datatype, shape, data });
    }
    check(&outputs, expected, tolerance)
}

fn check(outputs: &[Output], expected: &[ExpectedTensor], tolerance: &Tolerance) -> Result<(), Failure> {
    for wanted in expected {
        let name = &wanted.name;
        let Some(found) = outputs.iter().find(|output| output.name == *name) else {
            return Err(wrong(format!("no output {name:?}")));
        };
        if (&found.datatype, &found.shape) != (&wanted.datatype, &wanted.shape) {
            return Err(wrong(format!(
                "output {name:?} is {} {:?}, expected {} {:?}",
                found.datatype, found.shape, wanted.datatype, wanted.shape
            )));
        }
        if let Some((position, found, wanted)) = difference(found, wanted, tolerance) {
            return Err(wrong(format!("output {name:?}, element {position}: {found}, expected {wanted}")));
        }
    }
    Ok(())
}

/// The first element that is off.
fn difference(
    found: &Output,
    wanted: &ExpectedTensor,
    tolerance: &Tolerance,
) -> Option<(usize, String, String)> {
    if matches!(&found.data, Data::Raw(raw) if *raw == wanted.data) {
        return None;
    }
    let datatype = DataType::from_name(&wanted.datatype)?;
    if datatype == DataType::Bytes {
        return first_difference(texts(&found.data), texts(&Data::Raw(wanted.data.clone())), |a, b| a == b);
    }
    let close = |found: &f64, wanted: &f64| {
        found == wanted
            || (found.is_nan() && wanted.is_nan())
            || (found - wanted).abs() <= tolerance.absolute + tolerance.relative * wanted.abs()
    };
    first_difference(
        numbers(&found.data, datatype),
        numbers(&Data::Raw(wanted.data.clone()), datatype),
        close,
    )
}

fn first_difference<T: ToString>(
    found: Vec<T>,
    wanted: Vec<T>,
    same: impl Fn(&T, &T) -> bool,
) -> Option<(usize, String, String)> {
    if found.len() != wanted.len() {
        let position = found.len().min(wanted.len());
        return Some((position, format!("{} elements", found.len()), format!("{} elements", wanted.len())));
    }
    let position = found.iter().zip(&wanted).position(|(found, wanted)| !same(found, wanted))?;
    Some((position, found[position].to_string(), wanted[position].to_string()))
}

fn texts(data: &Data) -> Vec<String> {
    match data {
        Data::Raw(raw) => {
            elements(raw).flatten().map(|element| String::from_utf8_lossy(element).into_owned()).collect()
        }
        Data::Json(values) => values
            .iter()
            .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            .collect(),
    }
}

/// Integers beyond 2^53 lose digits here: their exact comparison is that of the bytes, which comes before.
fn numbers(data: &Data, datatype: DataType) -> Vec<f64> {
    let raw = match data {
        Data::Raw(raw) => raw,
        Data::Json(values) => {
            let number = |value: &Value| match value {
                Value::Bool(value) => f64::from(u8::from(*value)),
                other => other.as_f64().unwrap_or(f64::NAN),
            };
            return values.iter().map(number).collect();
        }
    };
    use DataType::*;
    match datatype {
        Bool | Uint8 => raw.iter().map(|byte| f64::from(*byte)).collect(),
        Int8 => raw.iter().map(|byte| f64::from(*byte as i8)).collect(),
        Uint16 => each(raw, |bytes| f64::from(u16::from_le_bytes(bytes))),
        Int16 => each(raw, |bytes| f64::from(i16::from_le_bytes(bytes))),
        Uint32 => each(raw, |bytes| f64::from(u32::from_le_bytes(bytes))),
        Int32 => each(raw, |bytes| f64::from(i32::from_le_bytes(bytes))),
        Uint64 => each(raw, |bytes| u64::from_le_bytes(bytes) as f64),
        Int64 => each(raw, |bytes| i64::from_le_bytes(bytes) as f64),
        Fp32 => each(raw, |bytes| f64::from(f32::from_le_bytes(bytes))),
        Fp64 => each(raw, f64::from_le_bytes),
        Fp16 => each(raw, |bytes| half(u16::from_le_bytes(bytes))),
        Bf16 => each(raw, |bytes| f64::from(f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16))),
        Bytes => Vec::new(),
    }
}

fn each<const N: usize>(raw: &[u8], read: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    raw.as_chunks::<N>().0.iter().map(|bytes| read(*bytes)).collect()
}

/// IEEE 754 binary16.
fn half(bits: u16) -> f64 {
    let sign = if bits & 0x8000 != 0 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10) & 0x1f, f64::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
    }
}

/// JSON may nest what is row-major anyway.
fn flat(values: Vec<Value>) -> Vec<Value> {
    if !values.iter().any(Value::is_array) {
        return values;
    }
    values
        .into_iter()
        .flat_map(|value| match value {
            Value::Array(inner) => flat(inner),
            other => vec![other],
        })
        .collect()
}

fn wrong(message: impl Into<String>) -> Failure {
    Failure::new(Kind::WrongAnswer, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use infermesh_wire::proto::inference::model_infer_response::InferOutputTensor;

    fn expected(data: &[f32]) -> ExpectedTensor {
        ExpectedTensor {
            name: "y".into(),
            datatype: "FP32".into(),
            shape: vec![1, data.len() as i64],
            data: data.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>().into(),
        }
    }

    fn grpc(data: &[f32]) -> Bytes {
        let wanted = expected(data);
        let output = InferOutputTensor {
            name: wanted.name,
            datatype: wanted.datatype,
            shape: wanted.shape,
            ..Default::default()
        };
        ModelInferResponse {
            outputs: vec![output],
            raw_output_contents: vec![wanted.data],
            ..Default::default()
        }
        .encode_to_vec()
        .into()
    }

    fn http(text: &str) -> Bytes {
        [&(text.len() as u32).to_be_bytes()[..], text.as_bytes()].concat().into()
    }

    #[test]
    fn an_answer_is_held_against_what_was_expected() {
        let exact = Tolerance::default();
        let wanted = [expected(&[1.0, 2.0])];
        assert_eq!(check_grpc(grpc(&[1.0, 2.0]), &wanted, &exact), Ok(()));
        let off = check_grpc(grpc(&[1.0, 2.1]), &wanted, &exact).unwrap_err();
        assert_eq!(off.kind, Kind::WrongAnswer);
        assert!(
            off.message.contains("element 1: 2.0999") && off.message.contains("expected 2"),
            "{}",
            off.message
        );
        let loose = Tolerance { absolute: 0.05, relative: 0.04 };
        assert_eq!(check_grpc(grpc(&[1.0, 2.1]), &wanted, &loose), Ok(()));
        let shape = check_grpc(grpc(&[1.0]), &wanted, &loose).unwrap_err();
        assert!(shape.message.contains("FP32 [1, 1], expected FP32 [1, 2]"), "{}", shape.message);
        assert!(check_grpc(Bytes::new(), &wanted, &loose).unwrap_err().message.contains("no output"));
    }

    #[test]
    fn json_is_held_against_the_same() {
        let exact = Tolerance::default();
        let wanted = [expected(&[1.0, 2.5])];
        let good = r#"{"outputs":[{"name":"y","datatype":"FP32","shape":[1,2],"data":[[1,2.5]]}]}"#;
        assert_eq!(check_http(http(good), &wanted, &exact), Ok(()));
        let off = check_http(http(&good.replace("2.5", "3")), &wanted, &exact).unwrap_err();
        assert!(off.message.contains("element 1: 3, expected 2.5"), "{}", off.message);
        let binary = r#"{"outputs":[{"name":"y","datatype":"FP32","shape":[1,2],"parameters":{"binary_data_size":8}}]}"#;
        let body: Bytes = [&http(binary)[..], &wanted[0].data].concat().into();
        assert_eq!(check_http(body.clone(), &wanted, &exact), Ok(()));
        assert_eq!(
            check_http(body.slice(..body.len() - 1), &wanted, &exact).unwrap_err().kind,
            Kind::Protocol
        );
    }

    #[test]
    fn an_answer_that_is_none_is_refused() {
        let wanted = [expected(&[1.0])];
        for text in [
            "",
            "5",
            "{}",
            r#"{"outputs":5}"#,
            r#"{"outputs":[5]}"#,
            r#"{"outputs":[{"name":"y"}]}"#,
            r#"{"outputs":[{"name":"y","data":{}}]}"#,
            r#"{"outputs":[{"name":"y","parameters":{"binary_data_size":18446744073709551615}}]}"#,
        ] {
            let refused = check_http(http(text), &wanted, &Tolerance::default()).unwrap_err();
            assert_eq!(refused.kind, Kind::Protocol, "{text}");
        }
    }

    #[test]
    fn sixteen_bits_are_numbers() {
        assert_eq!([half(0x3c00), half(0xc000), half(1)], [1.0, -2.0, 2f64.powi(-24)]);
        assert!(half(0x7c00).is_infinite() && half(0x7c01).is_nan());
    }
}
