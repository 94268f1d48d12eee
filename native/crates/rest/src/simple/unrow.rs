//! What was answered, as an object of named values.

use super::fields::Rows;
use crate::{
    answer::{self, Answer},
    outputs::{check, outputs},
    signature::Signature,
    tensor::to_nested_json,
};
use bytes::Bytes;
use infermesh_wire::{Error, response::OutputTensor, response_reader::InferResponse};

/// Which outputs lose the batch of one that their request got here.
#[derive(Debug)]
pub struct Unrow(Vec<String>);

impl Unrow {
    pub fn new(signature: &Signature, rows: Rows) -> Self {
        let batched = signature.outputs.iter().filter(|port| rows == Rows::One && port.batches());
        Self(batched.map(|port| port.name.clone()).collect())
    }

    /// Fails with INTERNAL for an answer that contradicts itself, and for outputs that JSON cannot carry.
    pub fn answer(&self, message: Bytes) -> Result<Answer, Error> {
        let response = InferResponse::decode(&message)?;
        let mut text = vec![b'{'];
        for (index, output) in outputs(&response, &message)?.iter().enumerate() {
            if index > 0 {
                text.push(b',');
            }
            check(output)?;
            serde_json::to_writer(&mut text, output.name)
                .map_err(|error| Error::internal(error.to_string()))?;
            text.push(b':');
            to_nested_json(&mut text, output.datatype, self.shape(output), &output.data, output.name)?;
        }
        text.push(b'}');
        Ok(answer::json(text))
    }

    fn shape<'a>(&self, output: &'a OutputTensor<'_>) -> &'a [i64] {
        match output.shape.split_first() {
            Some((1, row)) if self.0.iter().any(|name| name == output.name) => row,
            _ => output.shape,
        }
    }
}
