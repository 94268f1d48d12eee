//! One element of a model's answer, as a message can hold it.
//!
//! JSON has no NaN and no infinity: in a body they become null, which says that there is no number. In a
//! header they are `NaN`, `Infinity` and `-Infinity`, as in REST v2.

use super::half;
use http::HeaderValue;
use infermesh_wire::{
    DataType, Error,
    datatype::elements,
    proto::inference::{InferTensorContents, ModelInferResponse},
};
use serde::Serialize;

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Bool(bool),
    /// In the fewest digits that give the same number again.
    Number(String),
    /// NaN or infinite.
    Beyond(&'static str),
    Text(String),
}

impl Value {
    /// Element `index` of an output, in row-major order.
    ///
    /// Fails with INTERNAL if the answer does not have it, or it is no text where its datatype is BYTES.
    pub fn of(response: &ModelInferResponse, name: &str, index: usize) -> Result<Self, Error> {
        let failed = |found: String| Error::internal(format!("output '{name}': {found}"));
        let at = response.outputs.iter().position(|output| output.name == name).ok_or_else(|| {
            let names: Vec<&str> = response.outputs.iter().map(|output| &output.name[..]).collect();
            failed(format!("found none in the model's answer, which has '{}'", names.join("', '")))
        })?;
        let output = &response.outputs[at];
        let datatype = DataType::from_name(&output.datatype)
            .ok_or_else(|| failed(format!("found the unknown datatype '{}'", output.datatype)))?;
        let value = match (response.raw_output_contents.get(at), &output.contents) {
            (Some(raw), _) => of_raw(raw, datatype, index),
            (None, Some(contents)) => of_contents(contents, datatype, index),
            (None, None) => None,
        };
        let lacking = || failed(format!("found no element {index} in shape {:?}", output.shape));
        value.ok_or_else(lacking)?.map_err(|_| failed(format!("element {index} is not UTF-8 text")))
    }

    pub fn to_json(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Number(digits) => digits.clone(),
            Self::Beyond(_) => "null".to_owned(),
            Self::Text(text) => serde_json::Value::from(&**text).to_string(),
        }
    }

    /// Fails with INTERNAL for text that a header cannot hold.
    pub fn to_header(&self) -> Result<HeaderValue, Error> {
        let text = match self {
            Self::Bool(true) => "true",
            Self::Bool(false) => "false",
            Self::Number(text) | Self::Text(text) => text,
            Self::Beyond(name) => name,
        };
        HeaderValue::from_str(text)
            .map_err(|_| Error::internal(format!("found {text:?}, expected visible ASCII for a header")))
    }
}

/// `None` without such an element.
type Element = Option<Result<Value, std::str::Utf8Error>>;

fn of_raw(raw: &[u8], datatype: DataType, index: usize) -> Element {
    macro_rules! number {
        ($kind:ty) => {
            integer(<$kind>::from_le_bytes(*raw.as_chunks().0.get(index)?))
        };
    }
    Some(Ok(match datatype {
        DataType::Bool => Value::Bool(*raw.get(index)? != 0),
        DataType::Uint8 => number!(u8),
        DataType::Uint16 => number!(u16),
        DataType::Uint32 => number!(u32),
        DataType::Uint64 => number!(u64),
        DataType::Int8 => number!(i8),
        DataType::Int16 => number!(i16),
        DataType::Int32 => number!(i32),
        DataType::Int64 => number!(i64),
        DataType::Fp16 => float(half::FP16.decode(u16::from_le_bytes(*raw.as_chunks().0.get(index)?)) as f32),
        DataType::Bf16 => float(half::BF16.decode(u16::from_le_bytes(*raw.as_chunks().0.get(index)?)) as f32),
        DataType::Fp32 => float(f32::from_le_bytes(*raw.as_chunks().0.get(index)?)),
        DataType::Fp64 => float(f64::from_le_bytes(*raw.as_chunks().0.get(index)?)),
        DataType::Bytes => return elements(raw).nth(index)?.map(text),
    }))
}

fn of_contents(contents: &InferTensorContents, datatype: DataType, index: usize) -> Element {
    use DataType::*;
    Some(Ok(match datatype {
        Bool => Value::Bool(*contents.bool_contents.get(index)?),
        Int8 | Int16 | Int32 => integer(*contents.int_contents.get(index)?),
        Int64 => integer(*contents.int64_contents.get(index)?),
        Uint8 | Uint16 | Uint32 => integer(*contents.uint_contents.get(index)?),
        Uint64 => integer(*contents.uint64_contents.get(index)?),
        Fp32 => float(*contents.fp32_contents.get(index)?),
        Fp64 => float(*contents.fp64_contents.get(index)?),
        Bytes => return contents.bytes_contents.get(index).map(|bytes| text(bytes)),
        // They have no explicit form.
        Fp16 | Bf16 => return None,
    }))
}

fn integer(value: impl ToString) -> Value {
    Value::Number(value.to_string())
}

fn float<T: Serialize + Into<f64> + Copy>(value: T) -> Value {
    match serde_json::to_string(&value) {
        Ok(digits) if value.into().is_finite() => Value::Number(digits),
        _ => beyond(value.into()),
    }
}

fn beyond(value: f64) -> Value {
    Value::Beyond(match (value.is_nan(), value > 0.0) {
        (true, _) => "NaN",
        (false, true) => "Infinity",
        (false, false) => "-Infinity",
    })
}

fn text(bytes: &[u8]) -> Result<Value, std::str::Utf8Error> {
    str::from_utf8(bytes).map(|text| Value::Text(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use infermesh_wire::proto::inference::model_infer_response::InferOutputTensor;

    fn response(datatype: &str, raw: &[u8]) -> ModelInferResponse {
        let output = InferOutputTensor { name: "y".into(), datatype: datatype.into(), ..Default::default() };
        let raw_output_contents = vec![raw.to_vec().into()];
        ModelInferResponse { outputs: vec![output], raw_output_contents, ..Default::default() }
    }

    fn json(datatype: &str, raw: &[u8], index: usize) -> String {
        Value::of(&response(datatype, raw), "y", index).unwrap().to_json()
    }

    #[test]
    fn elements_become_json() {
        assert_eq!(json("FP32", &[0.1f32.to_le_bytes(), 12f32.to_le_bytes()].concat(), 0), "0.1");
        assert_eq!(json("FP32", &[0.1f32.to_le_bytes(), 12f32.to_le_bytes()].concat(), 1), "12.0");
        assert_eq!(json("FP64", &1e300f64.to_le_bytes(), 0), "1e+300");
        assert_eq!(json("INT64", &i64::MIN.to_le_bytes(), 0), "-9223372036854775808");
        assert_eq!(json("UINT64", &u64::MAX.to_le_bytes(), 0), "18446744073709551615");
        assert_eq!(json("BOOL", &[0, 1], 1), "true");
        assert_eq!(json("FP16", &[0x00, 0x3e], 0), "1.5");
        assert_eq!(json("BF16", &[0xc0, 0x3f], 0), "1.5");
        assert_eq!(json("BYTES", b"\x01\0\0\0a\x02\0\0\0\"\n", 1), r#""\"\n""#);
    }

    #[test]
    fn what_is_no_number_is_null_in_a_body_and_named_in_a_header() {
        for (value, name) in
            [(f32::NAN, "NaN"), (f32::INFINITY, "Infinity"), (f32::NEG_INFINITY, "-Infinity")]
        {
            let value = Value::of(&response("FP32", &value.to_le_bytes()), "y", 0).unwrap();
            assert_eq!(
                (&value.to_json()[..], value.to_header().unwrap()),
                ("null", HeaderValue::from_static(name))
            );
        }
    }

    #[test]
    fn explicit_contents_are_read_too() {
        let mut response = response("INT8", &[]);
        response.raw_output_contents.clear();
        response.outputs[0].contents =
            Some(InferTensorContents { int_contents: vec![7, -8], ..Default::default() });
        assert_eq!(Value::of(&response, "y", 1), Ok(Value::Number("-8".into())));
        response.outputs[0].contents = None;
        assert!(Value::of(&response, "y", 1).is_err());
    }

    #[test]
    fn what_is_not_there_is_said() {
        let message = |datatype, raw: &[u8], name, index| {
            Value::of(&response(datatype, raw), name, index).unwrap_err().message.into_owned()
        };
        assert_eq!(
            message("INT8", &[], "z", 0),
            "output 'z': found none in the model's answer, which has 'y'"
        );
        assert_eq!(message("INT8", &[1], "y", 1), "output 'y': found no element 1 in shape []");
        assert_eq!(message("FP8", &[1], "y", 0), "output 'y': found the unknown datatype 'FP8'");
        assert_eq!(message("BYTES", b"\x01\0\0\0\xff", "y", 0), "output 'y': element 0 is not UTF-8 text");
        assert_eq!(message("BYTES", b"\x09\0\0\0a", "y", 0), "output 'y': found no element 0 in shape []");
        assert!(Value::Text("a\nb".into()).to_header().unwrap_err().message.contains("visible ASCII"));
    }
}
