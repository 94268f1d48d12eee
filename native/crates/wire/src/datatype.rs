//! The protocol's element types.

use crate::proto::inference::DataType as Config;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataType {
    Bool,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Int8,
    Int16,
    Int32,
    Int64,
    Fp16,
    Fp32,
    Fp64,
    Bytes,
    Bf16,
}

use DataType::*;

const ALL: [(DataType, &str, Config); 14] = [
    (Bool, "BOOL", Config::TypeBool),
    (Uint8, "UINT8", Config::TypeUint8),
    (Uint16, "UINT16", Config::TypeUint16),
    (Uint32, "UINT32", Config::TypeUint32),
    (Uint64, "UINT64", Config::TypeUint64),
    (Int8, "INT8", Config::TypeInt8),
    (Int16, "INT16", Config::TypeInt16),
    (Int32, "INT32", Config::TypeInt32),
    (Int64, "INT64", Config::TypeInt64),
    (Fp16, "FP16", Config::TypeFp16),
    (Fp32, "FP32", Config::TypeFp32),
    (Fp64, "FP64", Config::TypeFp64),
    (Bytes, "BYTES", Config::TypeString),
    (Bf16, "BF16", Config::TypeBf16),
];

impl DataType {
    /// The name on the wire, e.g. `FP32`.
    pub fn name(self) -> &'static str {
        ALL[self as usize].1
    }

    pub fn from_name(name: &str) -> Option<Self> {
        ALL.iter().find(|entry| entry.1 == name).map(|entry| entry.0)
    }

    /// The enum value in a model configuration, e.g. `TYPE_FP32`.
    pub fn to_config(self) -> Config {
        ALL[self as usize].2
    }

    pub fn from_config(value: i32) -> Option<Self> {
        ALL.iter().find(|entry| entry.2 as i32 == value).map(|entry| entry.0)
    }

    /// Bytes per element; `None` for `BYTES`, whose elements carry their own length.
    pub fn size(self) -> Option<usize> {
        match self {
            Bool | Uint8 | Int8 => Some(1),
            Uint16 | Int16 | Fp16 | Bf16 => Some(2),
            Uint32 | Int32 | Fp32 => Some(4),
            Uint64 | Int64 | Fp64 => Some(8),
            Bytes => None,
        }
    }
}

/// Walks serialised `BYTES` elements (little-endian u32 length, then the bytes). Yields `None` once, then ends, if the
/// buffer is cut short.
pub struct Elements<'a> {
    rest: &'a [u8],
}

pub fn elements(data: &[u8]) -> Elements<'_> {
    Elements { rest: data }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Option<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let element = self
            .rest
            .split_first_chunk::<4>()
            .and_then(|(length, rest)| rest.split_at_checked(u32::from_le_bytes(*length) as usize));
        let Some((element, rest)) = element else {
            self.rest = &[];
            return Some(None);
        };
        self.rest = rest;
        Some(Some(element))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_keeps_its_row() {
        for (index, (datatype, name, config)) in ALL.into_iter().enumerate() {
            assert_eq!(datatype as usize, index);
            assert_eq!(DataType::from_name(name), Some(datatype));
            assert_eq!(DataType::from_config(config as i32), Some(datatype));
            assert_eq!(config.as_str_name().trim_start_matches("TYPE_").replace("STRING", "BYTES"), name);
        }
        assert_eq!(DataType::from_name("FP8"), None);
    }

    #[test]
    fn elements_end_at_a_cut() {
        let whole = [2, 0, 0, 0, b'h', b'i', 0, 0, 0, 0];
        assert_eq!(elements(&whole).collect::<Vec<_>>(), [Some(&b"hi"[..]), Some(&b""[..])]);
        assert_eq!(elements(&whole[..5]).collect::<Vec<_>>(), [None]);
        assert_eq!(elements(&[255, 255, 255, 255]).collect::<Vec<_>>(), [None]);
    }
}
