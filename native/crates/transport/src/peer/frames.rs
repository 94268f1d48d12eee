//! HTTP/2 frames, as far as one must know them to walk past them.

pub const PREFACE: usize = 24;
pub const FRAME_HEADER: usize = 9;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

/// Flags, each of the frames that have it.
pub const END_STREAM: u8 = 0x1;
pub const ACK: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;
pub const PADDED: u8 = 0x8;
pub const WITH_PRIORITY: u8 = 0x20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub length: usize,
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
}

impl Header {
    pub fn parse(bytes: &[u8; FRAME_HEADER]) -> Self {
        let [a, b, c, kind, flags, stream @ ..] = *bytes;
        Self {
            length: u32::from_be_bytes([0, a, b, c]) as usize,
            kind,
            flags,
            stream: u32::from_be_bytes(stream) & 0x7fff_ffff,
        }
    }

    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag > 0
    }
}

/// Finds the frames in a byte stream that arrives in pieces. Bodies are skipped, not looked at.
#[derive(Debug)]
pub struct Walker {
    /// So many bytes are not the start of a frame.
    opaque: usize,
    /// A header as far as it has arrived.
    partial: [u8; FRAME_HEADER],
    held: usize,
}

impl Walker {
    /// Begins after `opaque` bytes.
    pub fn after(opaque: usize) -> Self {
        Self { opaque, partial: [0; FRAME_HEADER], held: 0 }
    }

    /// Whether what has passed ends with a whole frame.
    pub fn at_boundary(&self) -> bool {
        self.opaque == 0 && self.held == 0
    }

    pub fn walk(&mut self, mut bytes: &[u8], mut each: impl FnMut(Header)) {
        loop {
            let skipped = self.opaque.min(bytes.len());
            bytes = &bytes[skipped..];
            self.opaque -= skipped;
            if bytes.is_empty() {
                return;
            }
            let header = match bytes.first_chunk() {
                Some(whole) if self.held == 0 => {
                    bytes = &bytes[FRAME_HEADER..];
                    Header::parse(whole)
                }
                _ => {
                    let count = bytes.len().min(FRAME_HEADER - self.held);
                    self.partial[self.held..self.held + count].copy_from_slice(&bytes[..count]);
                    self.held += count;
                    bytes = &bytes[count..];
                    if self.held < FRAME_HEADER {
                        return;
                    }
                    self.held = 0;
                    Header::parse(&self.partial)
                }
            };
            self.opaque = header.length;
            each(header);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = &(payload.len() as u32).to_be_bytes()[1..];
        [length, &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    #[test]
    fn every_frame_is_found_however_it_arrives() {
        let bytes = [
            vec![b' '; PREFACE],
            frame(HEADERS, END_HEADERS, 1, &[0; 30]),
            frame(DATA, END_STREAM, 1, &[]),
            frame(PING, 0, 0, &[1; 8]),
        ]
        .concat();
        for step in 1..=bytes.len() {
            let (mut walker, mut found) = (Walker::after(PREFACE), Vec::new());
            for piece in bytes.chunks(step) {
                walker.walk(piece, |header| {
                    found.push((header.kind, header.flags, header.stream, header.length))
                });
            }
            assert_eq!(found, [(HEADERS, END_HEADERS, 1, 30), (DATA, END_STREAM, 1, 0), (PING, 0, 0, 8)]);
            assert!(walker.at_boundary());
        }
    }
}
