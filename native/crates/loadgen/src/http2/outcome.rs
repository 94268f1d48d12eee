//! How a request ended: gRPC over HTTP/2, section "Responses" and "Errors".

use super::{frame::reason, stream::Stream};
use crate::failure::{Failure, Kind};
use bytes::Bytes;

/// Of a stream that the peer has ended. One that carries several requests is never ended by their answers.
pub fn of(stream: Stream, streaming: bool) -> Result<Bytes, Failure> {
    let (fields, assembly) = (stream.fields, stream.assembly);
    match (fields.grpc_status, fields.status) {
        (Some(0), _) if streaming => Err(Failure::protocol("the stream ended before the answer")),
        (Some(0), _) if assembly.messages != 1 || assembly.within() => {
            Err(Failure::protocol(format!("OK with {} messages, expected one", assembly.messages)))
        }
        (Some(0), _) => Ok(stream.message),
        (Some(code), _) => {
            Err(Failure::status(code, percent_decoded(&fields.grpc_message.unwrap_or_default())))
        }
        (None, Some(200) | None) => Err(Failure::protocol("the stream ended without a grpc-status")),
        (None, Some(status)) => {
            Err(Failure::new(Kind::Http(status), "an answer of HTTP, not of gRPC: is this a gRPC port?"))
        }
    }
}

/// Of a stream that the peer has reset.
pub fn of_reset(code: u32) -> Failure {
    let status = match code {
        // REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM, INADEQUATE_SECURITY.
        7 => 14,
        8 => 1,
        11 => 8,
        12 => 7,
        _ => 13,
    };
    Failure::status(status, format!("the server reset the stream: {}", reason(code)))
}

/// Of a request that the peer said it had not looked at when it left.
pub fn of_goaway(code: u32) -> Failure {
    let message = format!("the server left before it looked at the request: GOAWAY {}", reason(code));
    Failure::status(14, message)
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digits = bytes.get(at + 1..at + 3).filter(|_| byte == b'%');
        let value = digits.and_then(|digits| match digits.iter().all(u8::is_ascii_hexdigit) {
            true => u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok(),
            false => None,
        });
        decoded.push(value.unwrap_or(byte));
        at += if value.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_decoded() {
        assert_eq!(percent_decoded("100%25 %C3%BC%0A"), "100% \u{fc}\n");
        assert_eq!(percent_decoded("%zz%+f%2"), "%zz%+f%2");
    }
}
