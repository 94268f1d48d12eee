//! Inputs that are made for a batch as a whole, from the shapes of its requests in a ragged input.

use super::plan::{position, source};
use crate::Request;
use infermesh_wire::{
    DataType, Error, Shape,
    proto::inference::{ModelConfig, batch_input::Kind},
};
use smallvec::smallvec;

#[derive(Debug, Clone)]
pub struct BatchInput {
    pub name: String,
    pub datatype: DataType,
    kind: Kind,
    /// The position of the input whose shapes count.
    source: usize,
    /// Of the source, without the batch dimension.
    rank: usize,
}

/// What follows all other inputs in the model's signature: one for each target, in the order of the configuration.
///
/// Fails with INVALID_ARGUMENT naming the target or source and what is wrong with it.
pub fn batch_inputs(config: &ModelConfig) -> Result<Vec<BatchInput>, Error> {
    let mut made = Vec::new();
    for entry in &config.batch_input {
        let kind =
            Kind::try_from(entry.kind).map_err(|_| Error::invalid("batch_input has an unknown kind"))?;
        let source = source(config, "batch_input", &entry.source_input)?;
        let datatype = DataType::from_config(entry.data_type)
            .filter(|datatype| matches!(datatype, DataType::Int32 | DataType::Fp32))
            .ok_or_else(|| Error::invalid("batch_input: data_type must be TYPE_INT32 or TYPE_FP32"))?;
        for name in &entry.target_name {
            if position(config, name).is_some() {
                return Err(Error::invalid(format!(
                    "batch_input: target '{name}' is an input that clients send"
                )));
            }
            let rank = config.input[source].dims.len();
            made.push(BatchInput { name: name.clone(), datatype, kind, source, rank });
        }
    }
    Ok(made)
}

impl BatchInput {
    /// The shape that the model declares; it has no batch dimension.
    pub fn dims(&self) -> Vec<i64> {
        match self.kind {
            Kind::BatchItemShape => vec![-1, self.rank as i64],
            _ => vec![-1],
        }
    }

    /// The tensor for requests of these shapes, `surplus` rows more like the last: its shape, and its values.
    pub fn of<'a>(
        &self,
        shapes: impl Iterator<Item = &'a Shape> + Clone,
        surplus: usize,
    ) -> (Shape, Vec<u8>) {
        let counts = shapes.clone().map(|shape| shape.iter().product::<i64>());
        let values: Vec<i64> = match self.kind {
            Kind::BatchElementCount => counts.collect(),
            Kind::BatchAccumulatedElementCount => accumulated(counts).collect(),
            Kind::BatchAccumulatedElementCountWithZero => {
                [0].into_iter().chain(accumulated(counts)).collect()
            }
            // Only how many there are is looked at.
            Kind::BatchMaxElementCountAsShape => vec![0; counts.max().unwrap_or(0) as usize],
            Kind::BatchItemShape | Kind::BatchItemShapeFlatten => {
                let last = shapes.clone().last().map(|shape| &shape[1..]).unwrap_or_default();
                let rows = shapes.flat_map(|shape| std::iter::repeat_n(&shape[1..], shape[0] as usize));
                rows.chain(std::iter::repeat_n(last, surplus)).flatten().copied().collect()
            }
        };
        let shape = match self.kind {
            Kind::BatchItemShape => smallvec![(values.len() / self.rank.max(1)) as i64, self.rank as i64],
            _ => smallvec![values.len() as i64],
        };
        (shape, values.into_iter().flat_map(|value| self.bytes(value)).collect())
    }

    /// As `of`, for a batch.
    pub(crate) fn of_batch(&self, batch: &[Request], surplus: usize) -> (Shape, Vec<u8>) {
        self.of(batch.iter().map(|request| &request.inputs[self.source].shape), surplus)
    }

    pub(super) fn source(&self) -> usize {
        self.source
    }

    fn bytes(&self, value: i64) -> [u8; 4] {
        match self.datatype {
            DataType::Fp32 => (value as f32).to_le_bytes(),
            _ => (value as i32).to_le_bytes(),
        }
    }
}

fn accumulated(counts: impl Iterator<Item = i64>) -> impl Iterator<Item = i64> {
    counts.scan(0, |sum, count| {
        *sum += count;
        Some(*sum)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(kind: Kind, datatype: DataType) -> BatchInput {
        BatchInput { name: "n".into(), datatype, kind, source: 0, rank: 2 }
    }

    /// For a batch of a request of two rows of 1 x 3, and one of a row of 2 x 2.
    fn values(kind: Kind, surplus: usize) -> (Vec<i64>, Vec<i32>) {
        let shapes: [Shape; 2] = [smallvec![2, 1, 3], smallvec![1, 2, 2]];
        let (shape, data) = made(kind, DataType::Int32).of(shapes.iter(), surplus);
        let (values, _) = data.as_chunks();
        (shape.to_vec(), values.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect())
    }

    #[test]
    fn elements_are_counted_per_request() {
        assert_eq!(values(Kind::BatchElementCount, 0), (vec![2], vec![6, 4]));
        assert_eq!(values(Kind::BatchAccumulatedElementCount, 0), (vec![2], vec![6, 10]));
        assert_eq!(values(Kind::BatchAccumulatedElementCountWithZero, 0), (vec![3], vec![0, 6, 10]));
        assert_eq!(values(Kind::BatchMaxElementCountAsShape, 0).0, [6]);
    }

    #[test]
    fn shapes_are_told_per_row() {
        assert_eq!(values(Kind::BatchItemShape, 0), (vec![3, 2], vec![1, 3, 1, 3, 2, 2]));
        assert_eq!(values(Kind::BatchItemShapeFlatten, 0), (vec![6], vec![1, 3, 1, 3, 2, 2]));
        assert_eq!(values(Kind::BatchItemShape, 1), (vec![4, 2], vec![1, 3, 1, 3, 2, 2, 2, 2]));
    }

    #[test]
    fn values_have_the_type_that_is_asked_for() {
        let shapes: [Shape; 1] = [smallvec![1, 3, 1]];
        let (_, data) = made(Kind::BatchElementCount, DataType::Fp32).of(shapes.iter(), 0);
        assert_eq!(data, 3f32.to_le_bytes());
    }
}
