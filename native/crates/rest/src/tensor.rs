//! Tensors given by value in JSON, turned into the raw form that everything behind them uses, and back: flat,
//! as the v2 protocol has them, or nested as their shape is.
//!
//! Numbers that JSON has no token for are the strings "NaN", "Infinity" and "-Infinity", as in protobuf's
//! JSON form.

use crate::nesting::{Flat, Form, Layout, Nesting, check_nesting};
use bytes::{BufMut, Bytes};
use infermesh_wire::{DataType, Error, Shape, datatype::elements};
use serde::de::{self, DeserializeSeed, Deserializer, SeqAccess, Visitor};
use std::fmt;

/// Raw little-endian bytes of an array, flat or nested: the values count, in row-major order.
///
/// Fails with INVALID_ARGUMENT if a value is not one of `datatype`; FP16 and BF16 have no JSON form.
pub fn from_json(text: &str, datatype: DataType, name: &str) -> Result<Bytes, Error> {
    check_has_json_form(datatype, "input", name)?;
    if !text.trim_start().starts_with('[') {
        return Err(unexpected(&"expected an array", datatype, name));
    }
    let mut raw = Vec::new();
    read(text, &mut raw, &mut Flat, datatype, name)?;
    Ok(raw.into())
}

/// Appends the bytes of a value, or of values nested as the tensor is; returns the shape, which has no
/// dimension for one value.
///
/// Fails as `from_json` does, and for lists that make no tensor.
pub fn from_nested_json(
    text: &str,
    raw: &mut Vec<u8>,
    datatype: DataType,
    name: &str,
) -> Result<Shape, Error> {
    check_has_json_form(datatype, "input", name)?;
    let mut nesting = Nesting::default();
    read(text, raw, &mut nesting, datatype, name)?;
    Ok(nesting.shape())
}

fn read(
    text: &str,
    raw: &mut Vec<u8>,
    layout: &mut impl Layout,
    datatype: DataType,
    name: &str,
) -> Result<(), Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let values = Values { raw, layout, depth: 0, datatype };
    let read = values.deserialize(&mut reader).and_then(|()| reader.end());
    read.map_err(|error| unexpected(&error, datatype, name))
}

fn unexpected(why: &dyn fmt::Display, datatype: DataType, name: &str) -> Error {
    Error::invalid(format!("unexpected data for input '{name}' of type '{}': {why}", datatype.name()))
}

/// Fails with INVALID_ARGUMENT for a type that travels in binary only.
pub fn check_has_json_form(datatype: DataType, what: &str, name: &str) -> Result<(), Error> {
    match datatype {
        DataType::Fp16 | DataType::Bf16 => Err(Error::invalid(format!(
            "sending {} data via JSON is not supported. Please use the binary data format for {what} '{name}'",
            datatype.name()
        ))),
        _ => Ok(()),
    }
}

/// Appends one array, flattened. Fails for BYTES that are not text, which only the binary form can carry.
pub fn to_json(out: &mut Vec<u8>, datatype: DataType, data: &[u8], name: &str) -> Result<(), Error> {
    write(out, Form::Flat, datatype, data, name)
}

/// Appends the values nested as the shape is; without a dimension it is one value. `data` is whole.
///
/// Fails as `to_json` does, and for shapes that are all brackets.
pub fn to_nested_json(
    out: &mut Vec<u8>,
    datatype: DataType,
    shape: &[i64],
    data: &[u8],
    name: &str,
) -> Result<(), Error> {
    check_nesting(shape, name)?;
    write(out, Form::Nested(shape), datatype, data, name)
}

fn write(
    out: &mut Vec<u8>,
    form: Form<'_>,
    datatype: DataType,
    data: &[u8],
    name: &str,
) -> Result<(), Error> {
    macro_rules! numbers {
        ($kind:ty) => {
            form.write(out, data.as_chunks().0.iter(), &|out, bytes| {
                put(out, &<$kind>::from_le_bytes(*bytes))
            })
        };
    }
    match datatype {
        DataType::Bool => form.write(out, data.iter(), &|out, byte| put(out, &(*byte != 0))),
        DataType::Uint8 => form.write(out, data.iter(), &put),
        DataType::Uint16 => numbers!(u16),
        DataType::Uint32 => numbers!(u32),
        DataType::Uint64 => numbers!(u64),
        DataType::Int8 => numbers!(i8),
        DataType::Int16 => numbers!(i16),
        DataType::Int32 => numbers!(i32),
        DataType::Int64 => numbers!(i64),
        DataType::Fp32 => form.write(out, data.as_chunks().0.iter(), &|out, bytes| {
            let value = f32::from_le_bytes(*bytes);
            if value.is_finite() { put(out, &value) } else { put(out, name_of(value.into())) }
        }),
        DataType::Fp64 => form.write(out, data.as_chunks().0.iter(), &|out, bytes| {
            let value = f64::from_le_bytes(*bytes);
            if value.is_finite() { put(out, &value) } else { put(out, name_of(value)) }
        }),
        DataType::Bytes => form.write(out, elements(data), &|out, element| {
            let text = std::str::from_utf8(element.unwrap_or_default()).map_err(|_| {
                Error::invalid(format!(
                    "output '{name}' has bytes that are not UTF-8 text. Please use the binary data format for it"
                ))
            })?;
            put(out, text)
        }),
        DataType::Fp16 | DataType::Bf16 => check_has_json_form(datatype, "output", name),
    }
}

fn put<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) -> Result<(), Error> {
    serde_json::to_writer(out, value).map_err(|error| Error::internal(error.to_string()))
}

pub(crate) fn name_of(value: f64) -> &'static str {
    match (value.is_nan(), value > 0.0) {
        (true, _) => "NaN",
        (false, true) => "Infinity",
        (false, false) => "-Infinity",
    }
}

/// Appends the values of one array, or one value, to `raw`.
struct Values<'a, L> {
    raw: &'a mut Vec<u8>,
    layout: &'a mut L,
    /// How many lists are around it.
    depth: usize,
    datatype: DataType,
}

impl<L: Layout> Values<'_, L> {
    fn integer<E: de::Error>(self, value: i128) -> Result<(), E> {
        let Self { raw, layout, depth, datatype } = self;
        layout.value(depth).map_err(E::custom)?;
        macro_rules! fit {
            ($kind:ty) => {
                match <$kind>::try_from(value) {
                    Ok(value) => raw.extend_from_slice(&value.to_le_bytes()),
                    Err(_) => return Err(E::custom(format_args!("value {value} does not fit"))),
                }
            };
        }
        match datatype {
            DataType::Bool if value == 0 || value == 1 => raw.put_u8(value as u8),
            DataType::Uint8 => fit!(u8),
            DataType::Uint16 => fit!(u16),
            DataType::Uint32 => fit!(u32),
            DataType::Uint64 => fit!(u64),
            DataType::Int8 => fit!(i8),
            DataType::Int16 => fit!(i16),
            DataType::Int32 => fit!(i32),
            DataType::Int64 => fit!(i64),
            DataType::Fp32 => raw.put_f32_le(value as f32),
            DataType::Fp64 => raw.put_f64_le(value as f64),
            _ => return Err(E::custom(format_args!("value {value} is a number"))),
        }
        Ok(())
    }

    fn float<E: de::Error>(self, value: f64) -> Result<(), E> {
        self.layout.value(self.depth).map_err(E::custom)?;
        match self.datatype {
            DataType::Fp32 if value.is_finite() && (value as f32).is_infinite() => {
                return Err(E::custom(format_args!("value {value:e} does not fit")));
            }
            DataType::Fp32 => self.raw.put_f32_le(value as f32),
            DataType::Fp64 => self.raw.put_f64_le(value),
            _ => return Err(E::custom(format_args!("value {value:?} does not fit"))),
        }
        Ok(())
    }
}

impl<'de, L: Layout> DeserializeSeed<'de> for Values<'_, L> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de, L: Layout> Visitor<'de> for Values<'_, L> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "values of type '{}'", self.datatype.name())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Self { raw, layout, depth, datatype } = self;
        let mut count = 0;
        while items
            .next_element_seed(Values { raw: &mut *raw, layout: &mut *layout, depth: depth + 1, datatype })?
            .is_some()
        {
            count += 1;
        }
        layout.list(depth, count).map_err(de::Error::custom)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        if self.datatype != DataType::Bool {
            return Err(E::custom(format_args!("value {value} is a boolean")));
        }
        self.layout.value(self.depth).map_err(E::custom)?;
        self.raw.put_u8(value.into());
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        self.integer(value.into())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.integer(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        self.float(value)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<(), E> {
        match self.datatype {
            DataType::Bytes => {
                self.layout.value(self.depth).map_err(E::custom)?;
                let length = u32::try_from(value.len()).map_err(|_| E::custom("a string is too long"))?;
                self.raw.put_u32_le(length);
                self.raw.put_slice(value.as_bytes());
                Ok(())
            }
            DataType::Fp32 | DataType::Fp64 => match value {
                "NaN" => self.float(f64::NAN),
                "Infinity" => self.float(f64::INFINITY),
                "-Infinity" => self.float(f64::NEG_INFINITY),
                _ => Err(E::custom(format_args!("value {value:?} is a string"))),
            },
            _ => Err(E::custom(format_args!("value {value:?} is a string"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back(datatype: DataType, raw: &[u8]) -> String {
        let mut out = Vec::new();
        to_json(&mut out, datatype, raw, "y").unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_go_there_and_back() {
        use DataType::*;
        for (datatype, text) in [
            (Bool, "[true,false]"),
            (Uint8, "[0,255]"),
            (Uint16, "[65535]"),
            (Uint32, "[4294967295]"),
            (Uint64, "[18446744073709551615]"),
            (Int8, "[-128,127]"),
            (Int16, "[-32768]"),
            (Int32, "[-2147483648]"),
            (Int64, "[-9223372036854775808]"),
            (Fp32, "[0.1,-3.5,1e-7,\"NaN\",\"Infinity\"]"),
            (Fp64, "[0.1,1.7976931348623157e+308,\"-Infinity\"]"),
            (Bytes, "[\"\",\"h\u{e9}\\n\"]"),
            (Fp32, "[]"),
        ] {
            assert_eq!(back(datatype, &from_json(text, datatype, "x").unwrap()), text, "{datatype:?}");
        }
    }

    #[test]
    fn nesting_is_read_in_row_major_order() {
        let flat = from_json("[1, 2, 3, 4]", DataType::Int32, "x").unwrap();
        assert_eq!(from_json("[[1, 2], [3, 4]]", DataType::Int32, "x").unwrap(), flat);
        assert_eq!(from_json("[[[1], [2]], [[3], [4]]]", DataType::Int32, "x").unwrap(), flat);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        use DataType::*;
        for (datatype, text, found) in [
            (Int8, "[300]", "value 300 does not fit"),
            (Uint64, "[-1]", "value -1 does not fit"),
            (Int32, "[1.5]", "value 1.5 does not fit"),
            (Int32, "[1.0]", "value 1.0 does not fit"),
            (Fp32, "[1e300]", "value 1e300 does not fit"),
            (Fp32, "[true]", "value true is a boolean"),
            (Fp32, "[\"1\"]", "value \"1\" is a string"),
            (Bytes, "[1]", "value 1 is a number"),
            (Fp32, "[null]", "expected values of type 'FP32'"),
            (Fp32, "[{}]", "expected values of type 'FP32'"),
            (Fp32, "7", "expected an array"),
            (Fp32, "[1,", "EOF"),
        ] {
            let error = from_json(text, datatype, "x").unwrap_err();
            assert!(error.message.starts_with("unexpected data for input 'x'"), "{error}");
            assert!(error.message.contains(found), "{error}");
        }
        for datatype in [Fp16, Bf16] {
            let error = from_json("[1]", datatype, "x").unwrap_err();
            assert!(error.message.contains("binary data format for input 'x'"), "{error}");
        }
    }

    fn nested(text: &str, datatype: DataType) -> Result<(Vec<i64>, Vec<u8>), Error> {
        let mut raw = Vec::new();
        let shape = from_nested_json(text, &mut raw, datatype, "x")?;
        Ok((shape.to_vec(), raw))
    }

    #[test]
    fn nested_values_have_a_shape() {
        use DataType::*;
        for (datatype, text, shape) in [
            (Int8, "7", &[][..]),
            (Bytes, "\"a\"", &[]),
            (Bool, "true", &[]),
            (Fp32, "[]", &[0]),
            (Fp32, "[[],[]]", &[2, 0]),
            (Fp32, "[0.1,\"NaN\"]", &[2]),
            (Int64, "[[[1,2],[3,4],[5,6]]]", &[1, 3, 2]),
            (Bytes, "[[\"a\"],[\"\"]]", &[2, 1]),
        ] {
            let (found, raw) = nested(text, datatype).unwrap();
            assert_eq!(found, shape, "{text}");
            let mut out = Vec::new();
            to_nested_json(&mut out, datatype, shape, &raw, "y").unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }

    #[test]
    fn lists_that_make_no_tensor_are_refused() {
        for text in
            ["[[1,2],[3]]", "[1,[2]]", "[[1],2]", "[[],[1]]", "[[1],[]]", "[[[1]],[2]]", "[[],1]", "[1,[]]"]
        {
            let error = nested(text, DataType::Fp32).unwrap_err();
            assert!(error.message.contains("unexpected data for input 'x'"), "{text}: {error}");
            assert!(error.message.contains("list"), "{text}: {error}");
        }
        for text in ["null", "{}", "[null]", "1 2", ""] {
            assert!(nested(text, DataType::Fp32).is_err(), "{text}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let error = to_json(&mut Vec::new(), DataType::Bytes, &[1, 0, 0, 0, 0xff], "y").unwrap_err();
        assert!(error.message.contains("not UTF-8"), "{error}");
    }

    #[test]
    fn deep_nesting_ends_in_an_error() {
        assert!(from_json(&"[".repeat(100_000), DataType::Fp32, "x").is_err());
    }
}
