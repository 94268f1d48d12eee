//! Protobuf's wire format, written: lengths are known ahead, so a message needs one buffer. And the parts
//! that the protocol's two inference messages have in common.
//!
//! Encoding as in <https://protobuf.dev/programming-guides/encoding/>.

use crate::{
    request::{Parameter, Parameters},
    response::Pieces,
};
use bytes::{BufMut, Bytes, BytesMut};
use prost::encoding::{encode_varint, encoded_len_varint};

/// Messages up to this size are copied into one buffer: below it a copy costs less than another piece.
const CONTIGUOUS: usize = 16 * 1024;

pub fn put_bytes(buffer: &mut impl BufMut, number: u8, value: &[u8]) {
    put_start(buffer, number, value.len());
    buffer.put_slice(value);
}

/// Everything of a field but its value, which is `length` bytes long.
pub fn put_start(buffer: &mut impl BufMut, number: u8, length: usize) {
    buffer.put_u8(number << 3 | 2);
    encode_varint(length as u64, buffer);
}

pub fn field_len(length: usize) -> usize {
    1 + encoded_len_varint(length as u64) + length
}

/// What either message says of a tensor beside its values.
#[derive(Clone, Copy)]
pub struct Description<'a> {
    pub name: &'a str,
    pub datatype: &'a str,
    pub shape: &'a [i64],
    pub parameters: &'a Parameters<'a>,
}

impl Description<'_> {
    /// Of the message itself, without its tag and its length.
    pub fn len(&self) -> usize {
        field_len(self.name.len())
            + field_len(self.datatype.len())
            + field_len(shape_len(self.shape))
            + parameters_len(self.parameters)
    }

    pub fn put(&self, buffer: &mut impl BufMut, number: u8) {
        put_start(buffer, number, self.len());
        put_bytes(buffer, 1, self.name.as_bytes());
        put_bytes(buffer, 2, self.datatype.as_bytes());
        put_start(buffer, 3, shape_len(self.shape));
        for &dim in self.shape {
            encode_varint(dim as u64, buffer);
        }
        put_parameters(buffer, self.parameters);
    }
}

fn shape_len(shape: &[i64]) -> usize {
    shape.iter().map(|&dim| encoded_len_varint(dim as u64)).sum()
}

/// The tag's number is below 16: the same length wherever the parameters stand.
pub fn parameters_len(parameters: &Parameters<'_>) -> usize {
    parameters.iter().map(|(key, value)| field_len(entry_len(key, value))).sum()
}

/// A map that has the number 4 wherever a message has parameters, but one (`put_parameters_as`).
pub fn put_parameters(buffer: &mut impl BufMut, parameters: &Parameters<'_>) {
    put_parameters_as(buffer, 4, parameters);
}

pub fn put_parameters_as(buffer: &mut impl BufMut, number: u8, parameters: &Parameters<'_>) {
    for (key, value) in parameters.iter() {
        put_start(buffer, number, entry_len(key, value));
        put_bytes(buffer, 1, key.as_bytes());
        put_start(buffer, 2, value_len(value));
        put_value(buffer, value);
    }
}

fn entry_len(key: &str, value: Parameter<'_>) -> usize {
    field_len(key.len()) + field_len(value_len(value))
}

fn value_len(value: Parameter<'_>) -> usize {
    match value {
        Parameter::Unset => 0,
        Parameter::Bool(_) => 2,
        Parameter::Int64(value) => 1 + encoded_len_varint(value as u64),
        Parameter::String(value) => field_len(value.len()),
        Parameter::Double(_) => 9,
        Parameter::Uint64(value) => 1 + encoded_len_varint(value),
    }
}

fn put_value(buffer: &mut impl BufMut, value: Parameter<'_>) {
    match value {
        Parameter::Unset => {}
        Parameter::Bool(value) => buffer.put_slice(&[1 << 3, value.into()]),
        Parameter::Int64(value) => {
            buffer.put_u8(2 << 3);
            encode_varint(value as u64, buffer);
        }
        Parameter::String(value) => put_bytes(buffer, 3, value.as_bytes()),
        Parameter::Double(value) => {
            buffer.put_u8(4 << 3 | 1);
            buffer.put_f64_le(value);
        }
        Parameter::Uint64(value) => {
            buffer.put_u8(5 << 3);
            encode_varint(value, buffer);
        }
    }
}

/// A message on its way into its pieces: what is written for it, and tensors that are not copied if it is
/// large.
pub struct Composer {
    buffer: BytesMut,
    pieces: Pieces,
    contiguous: bool,
}

impl Composer {
    /// `extra` is what stands in front of the message; of its `length` bytes, `tensors` are in tensors.
    pub fn new(extra: usize, length: usize, tensors: usize) -> Self {
        let contiguous = length <= CONTIGUOUS;
        let own = if contiguous { length } else { length - tensors };
        Self { buffer: BytesMut::with_capacity(extra + own), pieces: Pieces::new(), contiguous }
    }

    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// A tensor's bytes, which may be in several places.
    pub fn put_tensor(&mut self, number: u8, parts: &[Bytes]) {
        put_start(&mut self.buffer, number, parts.iter().map(Bytes::len).sum());
        if self.contiguous {
            parts.iter().for_each(|part| self.buffer.put_slice(part));
        } else {
            self.pieces.push(self.buffer.split().freeze());
            self.pieces.extend(parts.iter().cloned());
        }
    }

    pub fn finish(mut self) -> Pieces {
        if !self.buffer.is_empty() {
            self.pieces.push(self.buffer.freeze());
        }
        self.pieces
    }
}
