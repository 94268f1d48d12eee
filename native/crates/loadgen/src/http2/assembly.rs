//! gRPC messages out of the bytes of a stream: counted, or kept where somebody wants them.

use bytes::{Bytes, BytesMut};
use infermesh_wire::framing::PREFIX;

/// A message that is kept.
const LARGEST: usize = 1 << 30;

#[derive(Default)]
pub struct Assembly {
    /// Prefix of the message that is coming, as far as it has come.
    prefix: [u8; PREFIX],
    prefixed: usize,
    /// Of that message's body.
    missing: usize,
    body: Option<BytesMut>,
    /// Whole messages so far.
    pub messages: u64,
    /// Bytes of their bodies so far.
    pub received: u64,
}

impl Assembly {
    /// Takes bytes; `whole` gets each message that is complete, empty if it is not kept.
    pub fn take(&mut self, mut bytes: &[u8], keep: bool, mut whole: impl FnMut(Bytes)) -> Result<(), String> {
        while !bytes.is_empty() || (self.prefixed == PREFIX && self.missing == 0) {
            if self.prefixed < PREFIX {
                let count = bytes.len().min(PREFIX - self.prefixed);
                self.prefix[self.prefixed..self.prefixed + count].copy_from_slice(&bytes[..count]);
                self.prefixed += count;
                bytes = &bytes[count..];
                if self.prefixed < PREFIX {
                    break;
                }
                let [compressed, length @ ..] = self.prefix;
                self.missing = u32::from_be_bytes(length) as usize;
                if compressed != 0 {
                    return Err("a message is compressed, though that was not offered".into());
                }
                if keep {
                    if self.missing > LARGEST {
                        return Err(format!("a message of {} bytes is too large to look into", self.missing));
                    }
                    self.body = Some(BytesMut::with_capacity(self.missing.min(1 << 20)));
                }
            }
            let count = bytes.len().min(self.missing);
            if let Some(body) = &mut self.body {
                body.extend_from_slice(&bytes[..count]);
            }
            self.missing -= count;
            self.received += count as u64;
            bytes = &bytes[count..];
            if self.missing > 0 {
                break;
            }
            self.prefixed = 0;
            self.messages += 1;
            whole(self.body.take().unwrap_or_default().freeze());
        }
        Ok(())
    }

    /// Whether a message has begun and not ended.
    pub fn within(&self) -> bool {
        self.prefixed > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_wherever_the_bytes_are_cut() {
        let stream = [&b"\0\0\0\0\x03abc"[..], b"\0\0\0\0\0", b"\0\0\0\0\x01d"].concat();
        for cut in 0..=stream.len() {
            let (mut assembly, mut found) = (Assembly::default(), Vec::new());
            for part in [&stream[..cut], &stream[cut..]] {
                assembly.take(part, true, |message| found.push(message)).unwrap();
            }
            assert_eq!(found, ["abc", "", "d"], "cut at {cut}");
            assert!(!assembly.within());
            assert_eq!((assembly.messages, assembly.received), (3, 4));
        }
        assert!(Assembly::default().take(b"\x01\0\0\0\0", false, |_| ()).is_err());
    }
}
