//! Reads a `ModelInferResponse` in place, as `request` reads a `ModelInferRequest`.

use crate::{
    Error,
    reader::{Reader, Value, malformed, text},
    request::{Few, InputTensor, Parameters, read_tensor},
};

#[derive(Debug, Clone, Default)]
pub struct InferResponse<'a> {
    pub model_name: &'a str,
    pub model_version: &'a str,
    pub id: &'a str,
    pub parameters: Parameters<'a>,
    /// Described as inputs are.
    pub outputs: Few<InputTensor<'a>>,
    pub raw_output_contents: Few<&'a [u8]>,
}

impl<'a> InferResponse<'a> {
    /// Fails with INTERNAL on anything that is not a well-formed `ModelInferResponse`: who answers so is
    /// broken.
    pub fn decode(message: &'a [u8]) -> Result<Self, Error> {
        let broken = |_| Error::internal("what was answered is not a valid ModelInferResponse");
        read(message).map_err(broken)
    }
}

fn read(message: &[u8]) -> Result<InferResponse<'_>, Error> {
    let mut response = InferResponse::default();
    let mut reader = Reader::new(message);
    while let Some(field) = reader.field()? {
        match field {
            (1, Value::Bytes(value)) => response.model_name = text(value)?,
            (2, Value::Bytes(value)) => response.model_version = text(value)?,
            (3, Value::Bytes(value)) => response.id = text(value)?,
            (4, Value::Bytes(value)) => response.parameters.add(value)?,
            (5, Value::Bytes(value)) => response.outputs.push(read_tensor(value)?),
            (6, Value::Bytes(value)) => response.raw_output_contents.push(value),
            (1..=6, _) => return Err(malformed("a field of ModelInferResponse has the wrong wire type")),
            _ => {}
        }
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        DataType, Shape,
        framing::PREFIX,
        request::Parameter,
        response::{OutputTensor, ResponseWriter},
    };
    use bytes::Bytes;

    #[test]
    fn what_is_written_is_read() {
        let mut parameters = Parameters::default();
        parameters.push("k", Parameter::Double(-0.5));
        let shape = Shape::from_slice(&[1, 2]);
        let output = OutputTensor {
            name: "y",
            datatype: DataType::Int16,
            shape: &shape,
            parameters: &parameters,
            data: Bytes::from_static(&[1, 2, 3, 4]),
        };
        let written = ResponseWriter::new("m", "3").write("7", &parameters, &[output]).concat();
        let found = InferResponse::decode(&written[PREFIX..]).unwrap();
        assert_eq!((found.model_name, found.model_version, found.id), ("m", "3", "7"));
        assert_eq!(found.parameters.get("k"), Some(Parameter::Double(-0.5)));
        assert_eq!(found.outputs[0].parameters.get("k"), Some(Parameter::Double(-0.5)));
        assert_eq!((found.outputs[0].name, found.outputs[0].datatype), ("y", "INT16"));
        assert_eq!(found.outputs[0].shape, shape);
        assert_eq!(found.raw_output_contents[..], [&[1, 2, 3, 4][..]]);
    }

    #[test]
    fn what_is_no_answer_is_the_servers_fault() {
        for wrong in [&[0x0a, 9][..], &[0x08, 1], &[0x0a, 1, 0xff]] {
            assert_eq!(InferResponse::decode(wrong).unwrap_err().code, crate::Code::Internal);
        }
    }
}
