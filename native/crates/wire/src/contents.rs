//! Explicit tensor contents (`InferTensorContents`), turned into the raw form that everything behind them uses.

use crate::{DataType, Error, proto::inference::InferTensorContents, reader::malformed};
use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

/// Raw little-endian bytes of a tensor given by value.
///
/// Fails with INVALID_ARGUMENT if the contents are malformed, stand in another field than `datatype` asks for, or a
/// value does not fit; FP16 and BF16 have no explicit form.
pub fn to_raw(parts: &[&[u8]], datatype: DataType, name: &str) -> Result<Bytes, Error> {
    let mut contents = InferTensorContents::default();
    for part in parts {
        contents.merge(*part).map_err(|error| malformed(&error.to_string()))?;
    }
    let InferTensorContents {
        bool_contents,
        int_contents,
        int64_contents,
        uint_contents,
        uint64_contents,
        fp32_contents,
        fp64_contents,
        bytes_contents,
    } = contents;
    let used = [
        (bool_contents.len(), "bool_contents"),
        (int_contents.len(), "int_contents"),
        (int64_contents.len(), "int64_contents"),
        (uint_contents.len(), "uint_contents"),
        (uint64_contents.len(), "uint64_contents"),
        (fp32_contents.len(), "fp32_contents"),
        (fp64_contents.len(), "fp64_contents"),
        (bytes_contents.len(), "bytes_contents"),
    ];
    use DataType::*;
    let wanted = match datatype {
        Bool => "bool_contents",
        Int8 | Int16 | Int32 => "int_contents",
        Int64 => "int64_contents",
        Uint8 | Uint16 | Uint32 => "uint_contents",
        Uint64 => "uint64_contents",
        Fp32 => "fp32_contents",
        Fp64 => "fp64_contents",
        Bytes => "bytes_contents",
        Fp16 | Bf16 => "raw_input_contents",
    };
    if let Some((_, found)) = used.into_iter().find(|&(count, field)| count > 0 && field != wanted) {
        return Err(Error::invalid(format!(
            "unexpected explicit tensor data for input tensor '{name}' of type '{}': found {found}, expected {wanted}",
            datatype.name()
        )));
    }

    let mut raw = BytesMut::new();
    let misfit = |value: &dyn std::fmt::Display| {
        Error::invalid(format!("value {value} of input tensor '{name}' does not fit '{}'", datatype.name()))
    };
    match datatype {
        Bool => bool_contents.iter().for_each(|&value| raw.put_u8(value.into())),
        Int8 => {
            for value in &int_contents {
                raw.put_i8(i8::try_from(*value).map_err(|_| misfit(value))?);
            }
        }
        Int16 => {
            for value in &int_contents {
                raw.put_i16_le(i16::try_from(*value).map_err(|_| misfit(value))?);
            }
        }
        Int32 => int_contents.iter().for_each(|&value| raw.put_i32_le(value)),
        Int64 => int64_contents.iter().for_each(|&value| raw.put_i64_le(value)),
        Uint8 => {
            for value in &uint_contents {
                raw.put_u8(u8::try_from(*value).map_err(|_| misfit(value))?);
            }
        }
        Uint16 => {
            for value in &uint_contents {
                raw.put_u16_le(u16::try_from(*value).map_err(|_| misfit(value))?);
            }
        }
        Uint32 => uint_contents.iter().for_each(|&value| raw.put_u32_le(value)),
        Uint64 => uint64_contents.iter().for_each(|&value| raw.put_u64_le(value)),
        Fp32 => fp32_contents.iter().for_each(|&value| raw.put_f32_le(value)),
        Fp64 => fp64_contents.iter().for_each(|&value| raw.put_f64_le(value)),
        Bytes => {
            for value in &bytes_contents {
                raw.put_u32_le(u32::try_from(value.len()).map_err(|_| misfit(&value.len()))?);
                raw.put_slice(value);
            }
        }
        Fp16 | Bf16 => {}
    }
    Ok(raw.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_little_endian() {
        let contents =
            InferTensorContents { int_contents: vec![1, -2], ..Default::default() }.encode_to_vec();
        assert_eq!(&to_raw(&[&contents], DataType::Int16, "x").unwrap()[..], [1, 0, 0xfe, 0xff]);
        assert_eq!(&to_raw(&[&contents], DataType::Int8, "x").unwrap()[..], [1, 0xfe]);
    }

    #[test]
    fn strings_carry_their_length() {
        let contents =
            InferTensorContents { bytes_contents: vec!["hi".into(), "".into()], ..Default::default() };
        let raw = to_raw(&[&contents.encode_to_vec()], DataType::Bytes, "x").unwrap();
        assert_eq!(&raw[..], [2, 0, 0, 0, b'h', b'i', 0, 0, 0, 0]);
    }

    #[test]
    fn another_field_and_a_misfit_are_named() {
        let contents = InferTensorContents { int_contents: vec![300], ..Default::default() }.encode_to_vec();
        let error = to_raw(&[&contents], DataType::Fp32, "x").unwrap_err();
        assert!(error.message.starts_with("unexpected explicit tensor data for input tensor 'x'"), "{error}");
        let error = to_raw(&[&contents], DataType::Int8, "x").unwrap_err();
        assert_eq!(error.message, "value 300 of input tensor 'x' does not fit 'INT8'");
    }
}
