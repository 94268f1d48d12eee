//! One answer, divided among those who share it.

use crate::{
    outputs::{check, outputs},
    signature::Listed,
};
use bytes::Bytes;
use infermesh_wire::{
    Error, Shape,
    response::{OutputTensor, Pieces, ResponseWriter},
    response_reader::InferResponse,
    rows::RowEnds,
};

/// How many rows everybody sent, in their order.
#[derive(Debug)]
pub struct Division {
    /// Each with its id.
    callers: Vec<(String, usize)>,
    rows: usize,
}

impl Division {
    pub(super) fn new(callers: Vec<(String, usize)>, rows: usize) -> Self {
        Self { callers, rows }
    }

    /// The length-prefixed `ModelInferResponse` of every caller, with its own id, of a serialised one that
    /// answers all. Large tensors are slices of it.
    ///
    /// Fails with INTERNAL for an answer that contradicts itself, or has another number of rows than was
    /// sent: then the model does not batch as it seemed to, and each is to be asked for alone.
    pub fn divide(&self, answer: &Bytes) -> Result<Vec<Pieces>, Error> {
        let response = InferResponse::decode(answer)?;
        let outputs = outputs(&response, answer)?;
        let ends = outputs.iter().map(|output| self.row_ends(output)).collect::<Result<Vec<_>, _>>()?;
        let writer = ResponseWriter::new(response.model_name, response.model_version);
        let mut row = 0;
        let answers = self.callers.iter().map(|(id, rows)| {
            let shapes: Vec<Shape> = outputs.iter().map(|output| with_rows(output.shape, *rows)).collect();
            let own: Vec<_> = outputs
                .iter()
                .zip(&ends)
                .zip(&shapes)
                .map(|((output, ends), shape)| OutputTensor {
                    name: output.name,
                    datatype: output.datatype,
                    shape,
                    parameters: output.parameters,
                    data: output.data.slice(ends.bytes(row..row + rows)),
                })
                .collect();
            row += rows;
            writer.write(id, &response.parameters, &own)
        });
        Ok(answers.collect())
    }

    fn row_ends(&self, output: &OutputTensor<'_>) -> Result<RowEnds, Error> {
        if output.shape.first() == Some(&(self.rows as i64)) {
            check(output)?;
            if let Some(ends) = RowEnds::of(output.datatype, output.shape, &output.data) {
                return Ok(ends);
            }
        }
        Err(Error::internal(format!(
            "output '{}' has shape {} for {} rows of {} requests: its first dimension must be the batch",
            output.name,
            Listed(output.shape),
            self.rows,
            self.callers.len()
        )))
    }
}

fn with_rows(shape: &Shape, rows: usize) -> Shape {
    let mut shape = shape.clone();
    shape[0] = rows as i64;
    shape
}
