//! A cursor over protobuf's wire format that borrows instead of copying.
//!
//! Encoding as in <https://protobuf.dev/programming-guides/encoding/>.

use crate::Error;

#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

/// One field's value, as far as the wire type tells.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
    /// A group or a bare end-group tag: obsolete, skipped.
    Group,
}

/// Nested groups deeper than this are refused, as protobuf's own parsers do.
const MAX_GROUP_DEPTH: u32 = 100;

impl<'a> Reader<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next field's number and value, `None` at the end.
    #[inline]
    pub fn field(&mut self) -> Result<Option<(u32, Value<'a>)>, Error> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (number, wire_type) = self.tag()?;
        let value = match wire_type {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => Value::Bytes(self.bytes()?),
            3 => {
                self.skip_group(number, 0)?;
                Value::Group
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.array()?)),
            _ => return Err(malformed("invalid wire type")),
        };
        Ok(Some((number, value)))
    }

    #[inline]
    pub fn varint(&mut self) -> Result<u64, Error> {
        let mut value = 0u64;
        for (index, &byte) in self.rest.iter().enumerate().take(10) {
            if index == 9 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        Err(malformed(if self.rest.len() < 10 { "truncated" } else { "invalid varint" }))
    }

    fn tag(&mut self) -> Result<(u32, u8), Error> {
        let tag = u32::try_from(self.varint()?).map_err(|_| malformed("invalid tag"))?;
        match tag >> 3 {
            0 => Err(malformed("invalid field number 0")),
            number => Ok((number, (tag & 7) as u8)),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (value, rest) = self.rest.split_first_chunk::<N>().ok_or_else(|| malformed("truncated"))?;
        self.rest = rest;
        Ok(*value)
    }

    fn bytes(&mut self) -> Result<&'a [u8], Error> {
        let length = usize::try_from(self.varint()?).map_err(|_| malformed("truncated"))?;
        let (value, rest) = self.rest.split_at_checked(length).ok_or_else(|| malformed("truncated"))?;
        self.rest = rest;
        Ok(value)
    }

    fn skip_group(&mut self, opened: u32, depth: u32) -> Result<(), Error> {
        if depth >= MAX_GROUP_DEPTH {
            return Err(malformed("groups nested too deep"));
        }
        loop {
            let (number, wire_type) = self.tag()?;
            match wire_type {
                0 => drop(self.varint()?),
                1 => drop(self.array::<8>()?),
                2 => drop(self.bytes()?),
                3 => self.skip_group(number, depth + 1)?,
                4 if number == opened => return Ok(()),
                5 => drop(self.array::<4>()?),
                _ => return Err(malformed("invalid wire type")),
            }
        }
    }
}

/// A field that must be text.
pub fn text(data: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(data).map_err(|_| malformed("a string is not UTF-8"))
}

pub fn malformed(what: &str) -> Error {
    Error::invalid(format!("the request is not a valid protobuf message: {what}"))
}
