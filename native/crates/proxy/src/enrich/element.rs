//! One value of a message, put into a tensor.
//!
//! Messages are written by people who do not think of models, so a value is taken for what it says: `"12.50"`
//! is a number where one is wanted, `3.0` an integer, `true` is 1, and a number is text as it stands. What
//! would change a value is refused: a fraction for an integer, more than a type holds.

use super::half;
use bytes::BufMut;
use infermesh_wire::DataType;
use std::{borrow::Cow, str::FromStr};

/// As JSON has it, or a header.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar<'a> {
    Text(Cow<'a, str>),
    /// In the digits it was written with.
    Number(&'a str),
    Bool(bool),
}

impl<'a> Scalar<'a> {
    /// Of valid JSON without white space around it; `None` for null, lists and objects, and for text that has
    /// half of a surrogate pair in it.
    pub fn of_json(text: &'a str) -> Option<Self> {
        match text.as_bytes().first()? {
            b'"' => match text[1..text.len() - 1].contains('\\') {
                true => serde_json::from_str(text).ok().map(|text| Self::Text(Cow::Owned(text))),
                false => Some(Self::Text(text[1..text.len() - 1].into())),
            },
            b't' => Some(Self::Bool(true)),
            b'f' => Some(Self::Bool(false)),
            b'-' | b'0'..=b'9' => Some(Self::Number(text)),
            _ => None,
        }
    }

    /// Appends the element in its raw form. `None` if it is none of this type.
    pub fn put(&self, raw: &mut Vec<u8>, datatype: DataType) -> Option<()> {
        macro_rules! integer {
            ($kind:ty) => {
                raw.put_slice(&<$kind>::try_from(self.integer()?).ok()?.to_le_bytes())
            };
        }
        match datatype {
            DataType::Bool => raw.put_u8(self.bool()?.into()),
            DataType::Uint8 => integer!(u8),
            DataType::Uint16 => integer!(u16),
            DataType::Uint32 => integer!(u32),
            DataType::Uint64 => integer!(u64),
            DataType::Int8 => integer!(i8),
            DataType::Int16 => integer!(i16),
            DataType::Int32 => integer!(i32),
            DataType::Int64 => integer!(i64),
            DataType::Fp16 => raw.put_u16_le(self.half(half::FP16)?),
            DataType::Bf16 => raw.put_u16_le(self.half(half::BF16)?),
            // From the text at once: through FP64 it would be rounded twice.
            DataType::Fp32 => raw.put_f32_le(self.number::<f32>(f32::is_finite)?),
            DataType::Fp64 => raw.put_f64_le(self.number::<f64>(f64::is_finite)?),
            DataType::Bytes => {
                let text = match self {
                    Self::Text(text) => text,
                    Self::Number(digits) => *digits,
                    Self::Bool(true) => "true",
                    Self::Bool(false) => "false",
                };
                raw.put_u32_le(u32::try_from(text.len()).ok()?);
                raw.put_slice(text.as_bytes());
            }
        }
        Some(())
    }

    fn bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            Self::Text(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Self::Text(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => match self.integer()? {
                0 => Some(false),
                1 => Some(true),
                _ => None,
            },
        }
    }

    fn integer(&self) -> Option<i128> {
        let digits = match self {
            Self::Bool(value) => return Some((*value).into()),
            _ => self.digits()?,
        };
        digits.parse().ok().or_else(|| {
            // Beyond, FP64 does not tell one integer from the next.
            let value = digits.parse::<f64>().ok()?;
            (value.fract() == 0.0 && value.abs() <= (1u64 << 53) as f64).then_some(value as i128)
        })
    }

    /// `is_finite` tells what the type holds from what it does not.
    fn number<T: FromStr + From<bool> + Copy>(&self, is_finite: fn(T) -> bool) -> Option<T> {
        match self {
            Self::Bool(value) => Some((*value).into()),
            // As REST has them, since JSON's numbers are all finite.
            Self::Text(text) if matches!(&**text, "NaN" | "Infinity" | "-Infinity") => text.parse().ok(),
            _ => self.digits()?.parse().ok().filter(|value| is_finite(*value)),
        }
    }

    fn half(&self, format: half::Format) -> Option<u16> {
        let value = self.number::<f64>(f64::is_finite)?;
        let bits = format.encode(value);
        (value.is_finite() == format.decode(bits).is_finite()).then_some(bits)
    }

    /// What Rust's own parsers read, less their words for infinity.
    fn digits(&self) -> Option<&str> {
        let text = match self {
            Self::Text(text) => text.trim(),
            Self::Number(digits) => digits,
            Self::Bool(_) => return None,
        };
        let is_part = |byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        text.bytes().all(is_part).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DataType::*;

    fn put(json: &str, datatype: DataType) -> Option<Vec<u8>> {
        let mut raw = Vec::new();
        Scalar::of_json(json)?.put(&mut raw, datatype).map(|()| raw)
    }

    #[test]
    fn a_value_is_taken_for_what_it_says() {
        for (json, datatype, raw) in [
            ("12.50", Fp32, &12.5f32.to_le_bytes()[..]),
            (r#"" 12.50 ""#, Fp64, &12.5f64.to_le_bytes()),
            ("0.1", Fp32, &0.1f32.to_le_bytes()),
            (r#""-Infinity""#, Fp32, &f32::NEG_INFINITY.to_le_bytes()),
            ("1.5", Fp16, &[0x00, 0x3e]),
            ("1.5", Bf16, &[0xc0, 0x3f]),
            ("true", Fp32, &1f32.to_le_bytes()),
            ("true", Int8, &[1]),
            ("3.0", Int32, &3i32.to_le_bytes()),
            ("1e3", Int16, &1000i16.to_le_bytes()),
            (r#""+7""#, Uint8, &[7]),
            ("18446744073709551615", Uint64, &u64::MAX.to_le_bytes()),
            ("-9223372036854775808", Int64, &i64::MIN.to_le_bytes()),
            ("false", Bool, &[0]),
            (r#""True""#, Bool, &[1]),
            ("1", Bool, &[1]),
            (r#""DE""#, Bytes, b"\x02\0\0\0DE"),
            (r#""a\"é""#, Bytes, "\x04\0\0\0a\"é".as_bytes()),
            ("12.50", Bytes, b"\x05\0\0\x0012.50"),
            ("true", Bytes, b"\x04\0\0\0true"),
            ("\"\"", Bytes, b"\0\0\0\0"),
        ] {
            assert_eq!(put(json, datatype).as_deref(), Some(raw), "{json} as {datatype:?}");
        }
    }

    #[test]
    fn what_would_change_a_value_is_refused() {
        for (json, datatype) in [
            ("1.5", Int32),
            ("300", Int8),
            ("-1", Uint64),
            ("18446744073709551616", Uint64),
            ("1e300", Int64),
            ("1e39", Fp32),
            ("1e999", Fp64),
            ("65520", Fp16),
            ("2", Bool),
            (r#""inf""#, Fp32),
            (r#""1_000""#, Int32),
            (r#""""#, Fp32),
            (r#""twelve""#, Fp64),
            ("null", Fp32),
            ("[1]", Fp32),
            ("{}", Bytes),
            (r#""\ud800""#, Bytes),
        ] {
            assert_eq!(put(json, datatype), None, "{json} as {datatype:?}");
        }
    }
}
