//! The head of an answer: what it says about the body behind it and about the connection.

use super::body::Framing;

const MOST_HEADERS: usize = 100;

#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    pub status: u16,
    pub framing: Framing,
    /// The connection ends with this answer.
    pub closes: bool,
    /// How much of the body is JSON, where binary tensors follow.
    pub json_length: Option<usize>,
}

/// The first head in these bytes, and its size; None until all of it is there.
pub fn parse(bytes: &[u8]) -> Result<Option<(Head, usize)>, String> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response.parse(bytes).map_err(|error| match bytes {
        // The length of the SETTINGS that a server of HTTP/2 begins with.
        [0, ..] => "the server speaks HTTP/2, not HTTP/1.1: is this its gRPC port?".to_owned(),
        // An alert.
        [21, 3, ..] => "the server speaks TLS, and this connection is in the clear".to_owned(),
        _ => format!("the answer is not HTTP/1.1: {error}"),
    })?;
    let httparse::Status::Complete(size) = parsed else { return Ok(None) };
    let status = response.code.unwrap_or(0);
    let head = Head {
        status,
        framing: framing(status, response.headers)?,
        closes: match response.version {
            Some(0) => !has_token(response.headers, "connection", "keep-alive"),
            _ => has_token(response.headers, "connection", "close"),
        },
        json_length: find(response.headers, "inference-header-content-length").next().and_then(number),
    };
    Ok(Some((head, size)))
}

/// RFC 9112, section 6.3, for what answers a POST.
fn framing(status: u16, headers: &[httparse::Header<'_>]) -> Result<Framing, String> {
    if (100..200).contains(&status) || status == 204 || status == 304 {
        return Ok(Framing::Sized(0));
    }
    if let Some(coding) = find(headers, "transfer-encoding").last() {
        let chunked =
            coding.rsplit(',').next().is_some_and(|last| last.trim().eq_ignore_ascii_case("chunked"));
        return Ok(if chunked { Framing::ChunkHead } else { Framing::UntilClosed });
    }
    let mut lengths = find(headers, "content-length");
    let Some(length) = lengths.next() else { return Ok(Framing::UntilClosed) };
    match number(length) {
        Some(size) if lengths.all(|other| other == length) => Ok(Framing::Sized(size)),
        _ => Err(format!("a content-length of {length:?}, which is none or not the only one")),
    }
}

fn find<'a>(headers: &'a [httparse::Header<'_>], name: &'a str) -> impl Iterator<Item = &'a str> {
    let named = headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
    named.filter_map(|header| std::str::from_utf8(header.value).ok()).map(str::trim)
}

fn has_token(headers: &[httparse::Header<'_>], name: &str, token: &str) -> bool {
    find(headers, name)
        .flat_map(|value| value.split(','))
        .any(|found| found.trim().eq_ignore_ascii_case(token))
}

/// Digits and nothing else: a sign would pass otherwise.
fn number(text: &str) -> Option<usize> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(lines: &str) -> Head {
        let text = format!("{lines}\r\n\r\n");
        let (head, size) = parse(text.as_bytes()).unwrap().unwrap();
        assert_eq!(size, text.len());
        assert_eq!(parse(&text.as_bytes()[..size - 1]).unwrap(), None);
        head
    }

    #[test]
    fn the_body_is_framed_as_the_head_says() {
        let of = |lines: &str| parsed(lines).framing;
        assert_eq!(of("HTTP/1.1 200 OK\r\nContent-Length: 12\r\ncontent-length: 12"), Framing::Sized(12));
        assert_eq!(of("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked"), Framing::ChunkHead);
        assert_eq!(
            of("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 1"),
            Framing::UntilClosed
        );
        assert_eq!(of("HTTP/1.1 200 OK"), Framing::UntilClosed);
        assert_eq!(of("HTTP/1.1 204 No Content\r\nContent-Length: 5"), Framing::Sized(0));
        for wrong in ["+5", "5, 6", "-1", "99999999999999999999", "5\r\nContent-Length: 6"] {
            let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {wrong}\r\n\r\n");
            assert!(parse(text.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_connection_lives_on_unless_the_head_says_otherwise() {
        assert!(!parsed("HTTP/1.1 200 OK").closes);
        assert!(parsed("HTTP/1.1 200 OK\r\nConnection: foo, Close").closes);
        assert!(parsed("HTTP/1.0 200 OK").closes);
        assert!(!parsed("HTTP/1.0 200 OK\r\nConnection: keep-alive").closes);
    }

    #[test]
    fn other_protocols_are_named() {
        assert!(parse(b"\0\0\x12\x04\0\0\0\0\0").unwrap_err().contains("HTTP/2"));
        assert!(parse(b"\x15\x03\x03\0\x02\x02\x46").unwrap_err().contains("TLS"));
        assert!(parse(b"SSH-2.0-x\r\n").unwrap_err().contains("not HTTP/1.1"));
    }
}
