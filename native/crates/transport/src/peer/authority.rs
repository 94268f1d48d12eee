//! Lets clients of a unix socket in whose `:authority` is a path.
//!
//! gRPC's C core (and so tritonclient) names the percent-encoded path of the socket as the request's authority. Neither
//! that nor a bare path is an authority in the sense of RFC 3986, and h2 resets such a stream before anybody sees it.
//! Nothing here looks at the authority, so its offending characters are replaced where they are: the length stays,
//! and with it the frame's and the state of header compression.

use super::{
    frames::{FRAME_HEADER, HEADERS, Header, PADDED, PREFACE, WITH_PRIORITY},
    huffman,
};
use bytes::{Buf, BytesMut};
use std::{
    io,
    mem::MaybeUninit,
    ops::Range,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// `:authority` in HPACK's static table.
const AUTHORITY: usize = 1;

/// Longer header frames pass untouched; the server refuses header blocks of this size anyway.
const LONGEST: usize = 16 << 10;

/// A connection whose incoming request headers have an acceptable authority.
pub struct Lenient<T> {
    io: T,
    /// Received, not yet looked at.
    received: BytesMut,
    /// To be handed on.
    passed: BytesMut,
    /// So many bytes are not the start of a frame.
    opaque: usize,
}

impl<T> Lenient<T> {
    pub fn new(io: T) -> Self {
        Self { io, received: BytesMut::new(), passed: BytesMut::new(), opaque: PREFACE }
    }

    /// Hands on what is complete; a header frame only as a whole.
    fn pass(&mut self) {
        loop {
            let opaque = self.opaque.min(self.received.len());
            self.passed.unsplit(self.received.split_to(opaque));
            self.opaque -= opaque;
            if self.opaque > 0 || self.received.len() < FRAME_HEADER {
                return;
            }
            let Some(header) = self.received.first_chunk().map(Header::parse) else { return };
            let length = header.length;
            if header.kind == HEADERS && length <= LONGEST {
                if self.received.len() < FRAME_HEADER + length {
                    return;
                }
                let payload = &mut self.received[FRAME_HEADER..FRAME_HEADER + length];
                let skipped = usize::from(header.has(PADDED)) + 5 * usize::from(header.has(WITH_PRIORITY));
                if let Some(block) = payload.get_mut(skipped..)
                    && let Some((is_huffman, value)) = authority(block)
                {
                    match is_huffman {
                        true => huffman::replace(&mut block[value]),
                        false => replace(&mut block[value]),
                    }
                }
            }
            self.opaque = FRAME_HEADER + length;
        }
    }
}

fn replace(value: &mut [u8]) {
    for byte in value {
        if !byte.is_ascii_alphanumeric() && !b".-_~:[]@".contains(byte) {
            *byte = b'-';
        }
    }
}

/// Where the value of `:authority` lies in a header block, and whether it is Huffman-coded; `None` if there is none.
fn authority(block: &[u8]) -> Option<(bool, Range<usize>)> {
    let mut at = 0;
    while at < block.len() {
        // Representations as in RFC 7541, section 6.
        let (prefix, has_value) = match block[at] {
            byte if byte & 0x80 > 0 => (7, false),
            byte if byte & 0x40 > 0 => (6, true),
            byte if byte & 0x20 > 0 => (5, false),
            _ => (4, true),
        };
        let index = integer(block, &mut at, prefix)?;
        if !has_value {
            continue;
        }
        let is_authority = match index {
            0 => string(block, &mut at)?.1 == *b":authority",
            index => index == AUTHORITY,
        };
        let (is_huffman, value) = string(block, &mut at)?;
        if is_authority {
            return Some((is_huffman, at - value.len()..at));
        }
    }
    None
}

fn integer(block: &[u8], at: &mut usize, prefix: u32) -> Option<usize> {
    let limit = (1usize << prefix) - 1;
    let mut value = usize::from(*block.get(*at)?) & limit;
    *at += 1;
    if value < limit {
        return Some(value);
    }
    for shift in [0, 7, 14] {
        let byte = usize::from(*block.get(*at)?);
        *at += 1;
        value += (byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn string<'a>(block: &'a [u8], at: &mut usize) -> Option<(bool, &'a [u8])> {
    let is_huffman = block.get(*at)? & 0x80 > 0;
    let length = integer(block, at, 7)?;
    let value = block.get(*at..*at + length)?;
    *at += length;
    Some((is_huffman, value))
}

impl<T: AsyncRead + Unpin> AsyncRead for Lenient<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.passed.is_empty() {
            let mut space = [MaybeUninit::uninit(); 16 << 10];
            let mut chunk = ReadBuf::uninit(&mut space);
            ready!(Pin::new(&mut this.io).poll_read(context, &mut chunk))?;
            if chunk.filled().is_empty() {
                // The end: what is left is not a whole frame.
                this.passed.unsplit(this.received.split());
                break;
            }
            this.received.extend_from_slice(chunk.filled());
            this.pass();
        }
        let count = this.passed.len().min(out.remaining());
        out.put_slice(&this.passed[..count]);
        this.passed.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Lenient<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = &(payload.len() as u32).to_be_bytes()[1..];
        [length, &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    /// What comes out when `input` arrives in chunks of `step` bytes.
    fn through(input: &[u8], step: usize) -> Vec<u8> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut io = arriving(input, step);
            let mut out = Vec::new();
            io.read_to_end(&mut out).await.unwrap();
            out
        })
    }

    fn arriving(input: &[u8], step: usize) -> Lenient<Chunks> {
        Lenient::new(Chunks(input.chunks(step).map(<[u8]>::to_vec).collect()))
    }

    struct Chunks(std::collections::VecDeque<Vec<u8>>);

    impl AsyncRead for Chunks {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            out: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if let Some(chunk) = self.0.pop_front() {
                out.put_slice(&chunk);
            }
            Poll::Ready(Ok(()))
        }
    }

    fn conversation(authority: &[u8]) -> Vec<u8> {
        let value = [&[authority.len() as u8], authority].concat();
        let indexed = [&[0x83, 0x86, 0x41][..], &value, &[0x84]].concat();
        let named = [&[0x00, 10][..], b":authority", &value].concat();
        [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            frame(4, 0, &[]),
            frame(HEADERS, 4, &indexed),
            frame(0, 1, b"%2F is data"),
            frame(HEADERS, 4 | WITH_PRIORITY, &[&[0; 5][..], &named].concat()),
        ]
        .concat()
    }

    #[test]
    fn a_path_becomes_a_name_and_nothing_else_changes() {
        for step in [1, 7, 1_000] {
            assert_eq!(through(&conversation(b"%2Ftmp%2Fs"), step), conversation(b"-2Ftmp-2Fs"));
            assert_eq!(through(&conversation(b"/tmp/s"), step), conversation(b"-tmp-s"));
            assert_eq!(through(&conversation(b"localhost:1"), step), conversation(b"localhost:1"));
        }
    }

    #[test]
    fn a_huffman_coded_path_becomes_a_name() {
        // "%2Ftmp%2Fs" and "-2Ftmp-2Fs" in the code of RFC 7541, appendix B.
        let coded = |dash: u32| {
            let codes =
                [(dash, 6), (2, 5), (97, 7), (9, 5), (41, 6), (43, 6), (dash, 6), (2, 5), (97, 7), (8, 5)];
            let mut bits: Vec<u8> = Vec::new();
            for (code, length) in codes {
                bits.extend((0..length).rev().map(|at| (code >> at & 1) as u8));
            }
            bits.resize(bits.len().next_multiple_of(8), 1);
            let bytes: Vec<u8> =
                bits.chunks(8).map(|byte| byte.iter().fold(0, |all, bit| all << 1 | bit)).collect();
            let value = [&[0x80 | bytes.len() as u8], &bytes[..]].concat();
            let block = [&[0x83, 0x86, 0x41][..], &value, &[0x84]].concat();
            [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(HEADERS, 4, &block)].concat()
        };
        assert_eq!(through(&coded(0x15), 9), coded(0x16));
        assert_eq!(through(&coded(0x18), 9), coded(0x16));
        assert_eq!(through(&coded(0x16), 9), coded(0x16));
    }

    #[test]
    fn broken_headers_pass_untouched() {
        for block in [&[0x41][..], &[0x41, 0x7f, 0xff, 0xff, 0xff, 0xff], &[0x41, 5, b'/'], &[0x7f, 0xff]] {
            let input = [vec![b' '; PREFACE], frame(HEADERS, 4, block), b"rest".to_vec()].concat();
            assert_eq!(through(&input, 5), input);
        }
    }
}
