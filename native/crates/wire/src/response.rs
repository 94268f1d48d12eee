//! Writes a `ModelInferResponse` around tensors that stay where the backend put them.

use crate::{
    DataType, Shape,
    framing::PREFIX,
    request::Parameters,
    writer::{Composer, Description, field_len, parameters_len, put_bytes, put_parameters, put_start},
};
use bytes::{BufMut, Bytes};
use prost::encoding::encoded_len_varint;
use smallvec::SmallVec;

/// A gRPC message as the pieces it is sent in: heads that were written for it, tensors that were not copied. A small
/// message is one piece, and these lie in queues.
pub type Pieces = SmallVec<[Bytes; 1]>;

pub struct OutputTensor<'a> {
    pub name: &'a str,
    pub datatype: DataType,
    pub shape: &'a Shape,
    pub parameters: &'a Parameters<'a>,
    pub data: Bytes,
}

impl OutputTensor<'_> {
    fn described(&self) -> Description<'_> {
        let Self { name, datatype, shape, parameters, .. } = self;
        Description { name, datatype: datatype.name(), shape, parameters }
    }
}

/// The part of every answer that depends on the model version alone.
pub struct ResponseWriter {
    head: Vec<u8>,
}

impl ResponseWriter {
    pub fn new(model_name: &str, model_version: &str) -> Self {
        let mut head = Vec::new();
        put_bytes(&mut head, 1, model_name.as_bytes());
        put_bytes(&mut head, 2, model_version.as_bytes());
        Self { head }
    }

    /// One length-prefixed gRPC message.
    pub fn write(&self, id: &str, parameters: &Parameters<'_>, outputs: &[OutputTensor<'_>]) -> Pieces {
        self.message(false, id, parameters, outputs)
    }

    /// A length-prefixed `ModelStreamInferResponse` that holds the answer.
    pub fn write_streamed(
        &self,
        id: &str,
        parameters: &Parameters<'_>,
        outputs: &[OutputTensor<'_>],
    ) -> Pieces {
        self.message(true, id, parameters, outputs)
    }

    fn length(&self, id: &str, parameters: &Parameters<'_>, outputs: &[OutputTensor<'_>]) -> usize {
        let mut length = self.head.len();
        if !id.is_empty() {
            length += field_len(id.len());
        }
        length += parameters_len(parameters);
        length
            + outputs
                .iter()
                .map(|output| field_len(output.described().len()) + field_len(output.data.len()))
                .sum::<usize>()
    }

    fn message(
        &self,
        streamed: bool,
        id: &str,
        parameters: &Parameters<'_>,
        outputs: &[OutputTensor<'_>],
    ) -> Pieces {
        let length = self.length(id, parameters, outputs);
        let tensors: usize = outputs.iter().map(|output| output.data.len()).sum();
        let around = if streamed { 1 + encoded_len_varint(length as u64) } else { 0 };
        let mut composer = Composer::new(PREFIX + around, length, tensors);
        let buffer = composer.buffer();

        buffer.put_u8(0);
        buffer.put_u32((around + length) as u32);
        if streamed {
            put_start(buffer, 2, length); // ModelStreamInferResponse.infer_response
        }
        buffer.put_slice(&self.head);
        if !id.is_empty() {
            put_bytes(buffer, 3, id.as_bytes());
        }
        put_parameters(buffer, parameters);
        for output in outputs {
            output.described().put(buffer, 5);
        }
        for output in outputs {
            composer.put_tensor(6, std::slice::from_ref(&output.data));
        }
        composer.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{proto::inference as pb, request::Parameter};
    use prost::Message;

    fn joined(pieces: &Pieces) -> Vec<u8> {
        pieces.concat()
    }

    fn outputs(elements: usize, shape: &Shape) -> Vec<OutputTensor<'_>> {
        let data = |byte: u8| Bytes::from(vec![byte; elements * 4]);
        let parameters = Parameters::none();
        vec![
            OutputTensor { name: "scores", datatype: DataType::Fp32, shape, parameters, data: data(1) },
            OutputTensor { name: "labels", datatype: DataType::Int32, shape, parameters, data: data(2) },
        ]
    }

    fn check(elements: usize) -> Pieces {
        let shape = Shape::from_slice(&[1, elements as i64]);
        let outputs = outputs(elements, &shape);
        let writer = ResponseWriter::new("m", "3");
        let entry = pb::InferParameter {
            parameter_choice: Some(pb::infer_parameter::ParameterChoice::BoolParam(true)),
        };
        let mut parameters = Parameters::default();
        parameters.push("k", Parameter::Bool(true));

        let expected = pb::ModelInferResponse {
            model_name: "m".into(),
            model_version: "3".into(),
            id: "id".into(),
            parameters: [("k".to_owned(), entry)].into(),
            outputs: outputs
                .iter()
                .map(|output| pb::model_infer_response::InferOutputTensor {
                    name: output.name.into(),
                    datatype: output.datatype.name().into(),
                    shape: output.shape.to_vec(),
                    ..Default::default()
                })
                .collect(),
            raw_output_contents: outputs.iter().map(|output| output.data.clone()).collect(),
        };
        let pieces = writer.write("id", &parameters, &outputs);
        let message = joined(&pieces);
        assert_eq!(message[..5], [&[0][..], &(message.len() as u32 - 5).to_be_bytes()].concat());
        assert_eq!(pb::ModelInferResponse::decode(&message[5..]).unwrap(), expected);

        let message = joined(&writer.write_streamed("id", &parameters, &outputs));
        assert_eq!(message[1..5], (message.len() as u32 - 5).to_be_bytes());
        let streamed = pb::ModelStreamInferResponse::decode(&message[5..]).unwrap();
        assert_eq!(streamed.infer_response.unwrap(), expected);
        pieces
    }

    #[test]
    fn a_small_answer_is_one_piece() {
        assert_eq!(check(10).len(), 1);
    }

    #[test]
    fn large_tensors_are_not_copied() {
        assert_eq!(check(100_000).len(), 4);
    }

    #[test]
    fn an_answer_without_outputs_is_whole() {
        let pieces = ResponseWriter::new("m", "1").write("", Parameters::none(), &[]);
        let decoded = pb::ModelInferResponse::decode(&joined(&pieces)[5..]).unwrap();
        assert_eq!(decoded.model_name, "m");
    }
}
