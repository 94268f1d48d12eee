//! Signals to the model about each row of a batch: start, end, ready, whose it is.

use super::{SequenceId, Turn};
use crate::Tensor;
use bytes::Bytes;
use infermesh_wire::{
    DataType, Error, Shape,
    proto::inference::model_sequence_batching::{ControlInput, control::Kind},
};

#[derive(Debug, Clone)]
pub struct Control {
    pub name: String,
    pub datatype: DataType,
    shape: Shape,
    signal: Signal,
}

#[derive(Debug, Clone)]
enum Signal {
    /// What stands for false, and for true.
    Flag(Flag, [Bytes; 2]),
    Id,
}

#[derive(Debug, Clone, Copy)]
enum Flag {
    Start,
    End,
    Ready,
}

impl Control {
    /// Fails with INVALID_ARGUMENT naming the input and what is wrong with it.
    pub fn from_config(input: &ControlInput, batched: bool) -> Result<Self, Error> {
        let name = &input.name;
        let wrong =
            |what: &str| Err(Error::invalid(format!("sequence batching control tensor '{name}' {what}")));
        let [control] = &input.control[..] else { return wrong("must have exactly one control") };
        let flag = match Kind::try_from(control.kind) {
            Ok(Kind::ControlSequenceStart) => Flag::Start,
            Ok(Kind::ControlSequenceEnd) => Flag::End,
            Ok(Kind::ControlSequenceReady) => Flag::Ready,
            Ok(Kind::ControlSequenceCorrid) => {
                return match DataType::from_config(control.data_type) {
                    Some(datatype) if Self::fits_ids(datatype) => {
                        Ok(Self { name: name.clone(), datatype, shape: shape(batched), signal: Signal::Id })
                    }
                    _ => wrong(
                        "must have a 32- or 64-bit integer type or TYPE_STRING for CONTROL_SEQUENCE_CORRID",
                    ),
                };
            }
            Err(_) => return wrong("has an unknown kind"),
        };
        let (datatype, values) = match (
            &control.int32_false_true[..],
            &control.fp32_false_true[..],
            &control.bool_false_true[..],
        ) {
            (&[no, yes], [], []) => (DataType::Int32, [no, yes].map(|it| it.to_le_bytes().to_vec())),
            ([], &[no, yes], []) => (DataType::Fp32, [no, yes].map(|it| it.to_le_bytes().to_vec())),
            ([], [], &[no, yes]) => (DataType::Bool, [no, yes].map(|it| vec![u8::from(it)])),
            _ => {
                return wrong(
                    "must have exactly one of int32_false_true, fp32_false_true and bool_false_true, with 2 entries",
                );
            }
        };
        let signal = Signal::Flag(flag, values.map(Bytes::from));
        Ok(Self { name: name.clone(), datatype, shape: shape(batched), signal })
    }

    fn fits_ids(datatype: DataType) -> bool {
        matches!(
            datatype,
            DataType::Int32 | DataType::Uint32 | DataType::Int64 | DataType::Uint64 | DataType::Bytes
        )
    }

    /// Fails with INVALID_ARGUMENT if the model cannot be told such an id.
    pub fn check(&self, id: &SequenceId) -> Result<(), Error> {
        match (&self.signal, id, self.datatype) {
            (Signal::Id, SequenceId::Number(_), DataType::Bytes) => {
                Err(Error::invalid("correlation ID in request is not a string"))
            }
            (Signal::Id, SequenceId::Text(_), datatype) if datatype != DataType::Bytes => {
                Err(Error::invalid("correlation ID in request is not an unsigned int"))
            }
            _ => Ok(()),
        }
    }

    /// The row of a request, or of nobody.
    pub fn row(&self, turn: Option<&Turn>) -> Tensor {
        let data = match &self.signal {
            Signal::Flag(flag, values) => {
                let is_set = turn.is_some_and(|turn| match flag {
                    Flag::Start => turn.start,
                    Flag::End => turn.end,
                    Flag::Ready => true,
                });
                values[usize::from(is_set)].clone()
            }
            Signal::Id => match turn.map(|turn| &turn.id) {
                Some(SequenceId::Text(text)) => {
                    [&(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat().into()
                }
                // A type of 32 bits carries the lower half; an empty text is its length alone.
                id => {
                    let number = if let Some(SequenceId::Number(number)) = id { *number } else { 0 };
                    Bytes::copy_from_slice(&number.to_le_bytes()[..self.datatype.size().unwrap_or(4)])
                }
            },
        };
        Tensor { shape: self.shape.clone(), data }
    }
}

/// One value per row.
fn shape(batched: bool) -> Shape {
    if batched { Shape::from_slice(&[1, 1]) } else { Shape::from_slice(&[1]) }
}
