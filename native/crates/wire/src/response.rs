//! Writes a `ModelInferResponse` around tensors that stay where the backend put them.

use crate::{DataType, Shape};
use bytes::{BufMut, Bytes, BytesMut};
use prost::encoding::{encode_varint, encoded_len_varint};
use smallvec::SmallVec;

/// A gRPC message as the pieces it is sent in: heads that were written for it, tensors that were not copied. A small
/// message is one piece, and these lie in queues.
pub type Pieces = SmallVec<[Bytes; 1]>;

/// Messages up to this size are copied into one buffer: below it a copy costs less than another piece.
const CONTIGUOUS: usize = 16 * 1024;

const PREFIX: usize = 5;

pub struct OutputTensor<'a> {
    pub name: &'a str,
    pub datatype: DataType,
    pub shape: &'a Shape,
    pub data: Bytes,
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

    /// One length-prefixed gRPC message. `parameters` are serialised map entries, empty for none.
    pub fn write(&self, id: &str, parameters: &[Vec<u8>], outputs: &[OutputTensor<'_>]) -> Pieces {
        self.message(PREFIX, id, parameters, outputs)
    }

    /// A length-prefixed `ModelStreamInferResponse` that holds the answer.
    pub fn write_streamed(&self, id: &str, parameters: &[Vec<u8>], outputs: &[OutputTensor<'_>]) -> Pieces {
        let length = self.length(id, parameters, outputs);
        let extra = 1 + encoded_len_varint(length as u64);
        self.message(PREFIX + extra, id, parameters, outputs)
    }

    fn length(&self, id: &str, parameters: &[Vec<u8>], outputs: &[OutputTensor<'_>]) -> usize {
        let mut length = self.head.len();
        if !id.is_empty() {
            length += field_len(id.len());
        }
        length += parameters.iter().map(|entry| field_len(entry.len())).sum::<usize>();
        length
            + outputs
                .iter()
                .map(|output| field_len(description_len(output)) + field_len(output.data.len()))
                .sum::<usize>()
    }

    fn message(
        &self,
        prefix: usize,
        id: &str,
        parameters: &[Vec<u8>],
        outputs: &[OutputTensor<'_>],
    ) -> Pieces {
        let length = self.length(id, parameters, outputs);
        let tensors: usize = outputs.iter().map(|output| output.data.len()).sum();
        let contiguous = length <= CONTIGUOUS;
        let mut buffer = BytesMut::with_capacity(prefix + length - if contiguous { 0 } else { tensors });

        buffer.put_u8(0);
        buffer.put_u32((prefix - PREFIX + length) as u32);
        if prefix > PREFIX {
            buffer.put_u8(2 << 3 | 2); // ModelStreamInferResponse.infer_response
            encode_varint(length as u64, &mut buffer);
        }
        buffer.put_slice(&self.head);
        if !id.is_empty() {
            put_bytes(&mut buffer, 3, id.as_bytes());
        }
        for entry in parameters {
            put_bytes(&mut buffer, 4, entry);
        }
        for output in outputs {
            put_description(&mut buffer, output);
        }
        let mut pieces = Pieces::new();
        for output in outputs {
            buffer.put_u8(6 << 3 | 2);
            encode_varint(output.data.len() as u64, &mut buffer);
            if contiguous {
                buffer.put_slice(&output.data);
            } else {
                pieces.push(buffer.split().freeze());
                pieces.push(output.data.clone());
            }
        }
        if !buffer.is_empty() {
            pieces.push(buffer.freeze());
        }
        pieces
    }
}

fn put_bytes(buffer: &mut impl BufMut, number: u8, value: &[u8]) {
    buffer.put_u8(number << 3 | 2);
    encode_varint(value.len() as u64, buffer);
    buffer.put_slice(value);
}

fn field_len(length: usize) -> usize {
    1 + encoded_len_varint(length as u64) + length
}

fn shape_len(shape: &Shape) -> usize {
    shape.iter().map(|&dim| encoded_len_varint(dim as u64)).sum()
}

fn description_len(output: &OutputTensor<'_>) -> usize {
    field_len(output.name.len())
        + field_len(output.datatype.name().len())
        + field_len(shape_len(output.shape))
}

fn put_description(buffer: &mut impl BufMut, output: &OutputTensor<'_>) {
    buffer.put_u8(5 << 3 | 2);
    encode_varint(description_len(output) as u64, buffer);
    put_bytes(buffer, 1, output.name.as_bytes());
    put_bytes(buffer, 2, output.datatype.name().as_bytes());
    buffer.put_u8(3 << 3 | 2);
    encode_varint(shape_len(output.shape) as u64, buffer);
    for &dim in output.shape {
        encode_varint(dim as u64, buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::inference as pb;
    use prost::Message;

    fn joined(pieces: &Pieces) -> Vec<u8> {
        pieces.concat()
    }

    fn outputs(elements: usize, shape: &Shape) -> Vec<OutputTensor<'_>> {
        let data = |byte: u8| Bytes::from(vec![byte; elements * 4]);
        vec![
            OutputTensor { name: "scores", datatype: DataType::Fp32, shape, data: data(1) },
            OutputTensor { name: "labels", datatype: DataType::Int32, shape, data: data(2) },
        ]
    }

    fn check(elements: usize) -> Pieces {
        let shape = Shape::from_slice(&[1, elements as i64]);
        let outputs = outputs(elements, &shape);
        let writer = ResponseWriter::new("m", "3");
        let entry = pb::InferParameter {
            parameter_choice: Some(pb::infer_parameter::ParameterChoice::BoolParam(true)),
        };
        let mut parameter = Vec::new();
        put_bytes(&mut parameter, 1, b"k");
        put_bytes(&mut parameter, 2, &entry.encode_to_vec());

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
        let pieces = writer.write("id", std::slice::from_ref(&parameter), &outputs);
        let message = joined(&pieces);
        assert_eq!(message[..5], [&[0][..], &(message.len() as u32 - 5).to_be_bytes()].concat());
        assert_eq!(pb::ModelInferResponse::decode(&message[5..]).unwrap(), expected);

        let message = joined(&writer.write_streamed("id", &[parameter], &outputs));
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
        let pieces = ResponseWriter::new("m", "1").write("", &[], &[]);
        let decoded = pb::ModelInferResponse::decode(&joined(&pieces)[5..]).unwrap();
        assert_eq!(decoded.model_name, "m");
    }
}
