//! The body of an answer: where it ends, and as much of it as somebody wants.

use super::BUFFER;
use crate::inbox::Inbox;
use bytes::BytesMut;

/// Of a body that is looked into, in bytes.
const LARGEST: usize = 1 << 30;

/// What is still to come.
#[derive(Debug, PartialEq, Eq)]
pub enum Framing {
    /// So many bytes.
    Sized(usize),
    /// So many bytes of a chunk, the line break behind it included.
    Chunk(usize),
    /// A line that says how long the next chunk is.
    ChunkHead,
    /// What stands behind the last chunk, up to an empty line.
    Trailers,
    UntilClosed,
}

/// How much of a body is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    Nothing,
    /// So many bytes from its beginning.
    Beginning(usize),
    /// All of it; one that is too large is an error.
    All,
}

pub struct Body {
    pub framing: Framing,
    keep: Keep,
    pub kept: BytesMut,
    /// Bytes so far, kept or not.
    pub received: u64,
}

impl Body {
    pub fn new(framing: Framing, keep: Keep) -> Self {
        Self { framing, keep, kept: BytesMut::new(), received: 0 }
    }

    /// Takes what is there; whether that was the end.
    pub fn take(&mut self, inbox: &mut Inbox) -> Result<bool, String> {
        loop {
            match self.framing {
                Framing::Sized(missing) => {
                    let count = inbox.len().min(missing);
                    self.add(inbox.take(count))?;
                    self.framing = Framing::Sized(missing - count);
                    return Ok(missing == count);
                }
                Framing::UntilClosed => {
                    self.add(inbox.take(inbox.len()))?;
                    return Ok(false);
                }
                Framing::Chunk(missing) => {
                    let count = inbox.len().min(missing);
                    // The line break is none of the body.
                    let body = count.min(missing.saturating_sub(2));
                    self.add(&inbox.take(count)[..body])?;
                    if count < missing {
                        self.framing = Framing::Chunk(missing - count);
                        return Ok(false);
                    }
                    self.framing = Framing::ChunkHead;
                }
                Framing::ChunkHead => {
                    let Some(line) = take_line(inbox)? else { return Ok(false) };
                    let size = chunk_size(line).ok_or("a chunk without a size")?;
                    self.framing = if size == 0 { Framing::Trailers } else { Framing::Chunk(size + 2) };
                }
                Framing::Trailers => match take_line(inbox)? {
                    None => return Ok(false),
                    Some([]) => return Ok(true),
                    Some(_) => {}
                },
            }
        }
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.received += bytes.len() as u64;
        let most = match self.keep {
            Keep::Nothing => return Ok(()),
            Keep::Beginning(most) => most,
            Keep::All => LARGEST,
        };
        let room = most - self.kept.len();
        if self.keep == Keep::All && bytes.len() > room {
            return Err("the answer is too large to look into".into());
        }
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        Ok(())
    }
}

/// Hexadecimal digits, before what extends them.
fn chunk_size(line: &[u8]) -> Option<usize> {
    let digits = std::str::from_utf8(line.split(|byte| *byte == b';').next()?).ok()?.trim();
    let whole = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    usize::from_str_radix(digits, 16).ok().filter(|size| whole && *size <= LARGEST)
}

/// A line without its end.
fn take_line(inbox: &mut Inbox) -> Result<Option<&[u8]>, String> {
    let Some(end) = inbox.bytes().windows(2).position(|pair| pair == b"\r\n") else {
        return if inbox.len() < BUFFER { Ok(None) } else { Err("a line that is too long".into()) };
    };
    Ok(Some(&inbox.take(end + 2)[..end]))
}
