//! gRPC over HTTP/2: message prefixes, deadlines, percent-encoded messages, compressed requests.
//!
//! As in <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>.

use crate::{Code, Error};
use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use std::{io::Read, time::Duration};

/// One byte that says whether the message is compressed, four that give its length.
pub const PREFIX: usize = 5;

/// A length-prefixed, uncompressed message.
pub fn frame(message: &impl Message) -> Bytes {
    let mut buffer = BytesMut::with_capacity(PREFIX + message.encoded_len());
    buffer.put_u8(0);
    buffer.put_u32(message.encoded_len() as u32);
    message.encode_raw(&mut buffer);
    buffer.freeze()
}

/// `grpc-timeout`: at most eight digits and a unit.
pub fn parse_timeout(value: &str) -> Option<Duration> {
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 3600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

/// Longest `grpc-message`, in bytes: clients refuse header blocks from 8 KiB on, and lose the status with them.
const MAX_MESSAGE: usize = 3 << 10;

/// `grpc-message`: everything but printable ASCII, and `%` itself, is percent-encoded. What is too long for a header is
/// cut.
pub fn encode_message(message: &str) -> String {
    let mut encoded = String::with_capacity(message.len().min(MAX_MESSAGE) + 4);
    for byte in message.bytes() {
        if encoded.len() >= MAX_MESSAGE {
            encoded.push_str(" ...");
            break;
        }
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(byte as char),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// What `encode_message` made, or anybody else: what is not percent-encoded as it should be is taken as it stands.
pub fn decode_message(encoded: &[u8]) -> String {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((&byte, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|&digit| (digit as char).to_digit(16));
        match (byte, digit(0).zip(digit(1))) {
            (b'%', Some((high, low))) => {
                decoded.push((high << 4 | low) as u8);
                rest = &after[2..];
            }
            _ => {
                decoded.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// How a request's messages are compressed (`grpc-encoding`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    #[default]
    Identity,
    Gzip,
    Deflate,
}

/// What `grpc-accept-encoding` says.
pub const ACCEPTED_ENCODINGS: &str = "identity,gzip,deflate";

impl Encoding {
    /// Fails with UNIMPLEMENTED for an encoding that is not spoken here.
    pub fn parse(name: &str) -> Result<Self, Error> {
        match name {
            "identity" => Ok(Self::Identity),
            "gzip" => Ok(Self::Gzip),
            "deflate" => Ok(Self::Deflate),
            _ => Err(Error::new(
                Code::Unimplemented,
                format!("grpc-encoding '{name}' is not supported, use one of {ACCEPTED_ENCODINGS}"),
            )),
        }
    }

    /// Inflates one message; never beyond `limit` bytes, so that a small body cannot fill the memory.
    pub fn decompress(self, data: &[u8], limit: usize) -> Result<Bytes, Error> {
        let mut inflated = Vec::new();
        let bound = limit as u64 + 1;
        let result = match self {
            Self::Identity => {
                return Err(Error::internal(
                    "a message is compressed but the request names no grpc-encoding",
                ));
            }
            Self::Gzip => flate2::read::GzDecoder::new(data).take(bound).read_to_end(&mut inflated),
            Self::Deflate => flate2::read::ZlibDecoder::new(data).take(bound).read_to_end(&mut inflated),
        };
        result.map_err(|error| Error::invalid(format!("a message could not be decompressed: {error}")))?;
        if inflated.len() > limit {
            return Err(too_large(inflated.len(), limit));
        }
        Ok(inflated.into())
    }
}

pub fn too_large(size: usize, limit: usize) -> Error {
    Error::new(
        Code::ResourceExhausted,
        format!("the message is larger than the limit ({size} vs. {limit} bytes)"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn timeouts_have_digits_and_a_unit() {
        assert_eq!(parse_timeout("150m"), Some(Duration::from_millis(150)));
        assert_eq!(parse_timeout("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for wrong in ["", "m", "5", "123456789m", "-1S", "1x", "+1S", "1\u{b5}"] {
            assert_eq!(parse_timeout(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn messages_stay_printable() {
        assert_eq!(encode_message("100% \u{fc}\n"), "100%25 %C3%BC%0A");
    }

    #[test]
    fn messages_are_decoded() {
        for message in ["100% \u{fc}\n", "", "%zz", "a b"] {
            assert_eq!(decode_message(encode_message(message).as_bytes()), message);
        }
        assert_eq!(decode_message(b"%zz%+f%2%"), "%zz%+f%2%");
        assert_eq!(decode_message(b"%ff"), "\u{fffd}");
    }

    #[test]
    fn a_long_message_is_cut() {
        let encoded = encode_message(&"\u{fc}".repeat(10_000));
        assert!(encoded.len() < MAX_MESSAGE + 10 && encoded.ends_with(" ..."), "{}", encoded.len());
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&vec![0; 10 << 20]).unwrap();
        let bomb = gzip.finish().unwrap();
        assert!(bomb.len() < 20_000);
        let error = Encoding::Gzip.decompress(&bomb, 1 << 20).unwrap_err();
        assert_eq!(error.code, Code::ResourceExhausted);
        assert_eq!(Encoding::Gzip.decompress(&bomb, 10 << 20).unwrap().len(), 10 << 20);
        assert_eq!(Encoding::Gzip.decompress(b"junk", 99).unwrap_err().code, Code::InvalidArgument);
    }
}
