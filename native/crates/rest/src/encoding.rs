//! How a body is compressed.

use http::{HeaderMap, header};
use infermesh_wire::{Code, Error, framing::Encoding};

/// What `Content-Encoding` says. Fails with UNIMPLEMENTED for an encoding that is not spoken here.
pub fn encoding(headers: &HeaderMap) -> Result<Encoding, Error> {
    match headers.get(header::CONTENT_ENCODING).map(|value| value.as_bytes()) {
        None | Some(b"" | b"identity") => Ok(Encoding::Identity),
        Some(b"gzip") => Ok(Encoding::Gzip),
        Some(b"deflate") => Ok(Encoding::Deflate),
        Some(other) => Err(Error::new(
            Code::Unimplemented,
            format!("Content-Encoding '{}' is not supported, use gzip or deflate", other.escape_ascii()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoding_is_known_or_named() {
        let of = |value: &'static str| {
            encoding(&HeaderMap::from_iter([(header::CONTENT_ENCODING, value.parse().unwrap())]))
        };
        assert_eq!(encoding(&HeaderMap::new()), Ok(Encoding::Identity));
        assert_eq!(of("gzip"), Ok(Encoding::Gzip));
        assert_eq!(of("deflate"), Ok(Encoding::Deflate));
        let error = of("br").unwrap_err();
        assert_eq!((error.code, error.message.contains("'br'")), (Code::Unimplemented, true));
    }
}
