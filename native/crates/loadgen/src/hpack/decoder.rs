//! Header blocks of answers: the three fields that say how a request ended.

use super::{
    huffman, integer,
    table::{DEFAULT_SIZE, Dynamic},
};
use std::borrow::Cow;

/// Blocks that are remembered.
const REMEMBERED: usize = 8;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    /// `:status`.
    pub status: Option<u16>,
    pub grpc_status: Option<u8>,
    /// As it is sent: percent-encoded.
    pub grpc_message: Option<String>,
}

pub struct Decoder {
    table: Dynamic,
    known: Vec<(Box<[u8]>, Fields)>,
}

impl Decoder {
    pub fn new() -> Self {
        Self { table: Dynamic::new(), known: Vec::new() }
    }

    /// None for what is not HPACK.
    pub fn decode(&mut self, block: &[u8]) -> Option<Fields> {
        if let Some((_, fields)) = self.known.iter().find(|(known, _)| **known == *block) {
            return Some(fields.clone());
        }
        let mut changed = false;
        let fields = self.read(block, &mut changed)?;
        if changed || self.known.len() == REMEMBERED {
            self.known.clear();
        }
        // One that changes the table means something else the next time.
        if !changed {
            self.known.push((block.into(), fields.clone()));
        }
        Some(fields)
    }

    fn read(&mut self, mut block: &[u8], changed: &mut bool) -> Option<Fields> {
        let mut fields = Fields::default();
        while let Some(&first) = block.first() {
            if first & 0x80 != 0 {
                let (name, value) = self.table.get(integer(&mut block, 7)?)?;
                fields.take(name, value);
            } else if first & 0xe0 == 0x20 {
                let size = integer(&mut block, 5).filter(|&size| size <= DEFAULT_SIZE)?;
                self.table.resize(size);
                *changed = true;
            } else {
                let insert = first & 0x40 != 0;
                let index = integer(&mut block, if insert { 6 } else { 4 })?;
                let name = match index {
                    0 => text(&mut block)?,
                    index => Cow::Owned(self.table.get(index)?.0.to_vec()),
                };
                let value = text(&mut block)?;
                fields.take(&name, &value);
                if insert {
                    self.table.insert(&name, &value);
                    *changed = true;
                }
            }
        }
        Some(fields)
    }
}

impl Fields {
    fn take(&mut self, name: &[u8], value: &[u8]) {
        let text = || std::str::from_utf8(value).ok();
        match name {
            b":status" => self.status = text().and_then(|text| text.parse().ok()),
            // A status that is no number is none that is known.
            b"grpc-status" => self.grpc_status = Some(text().and_then(|text| text.parse().ok()).unwrap_or(2)),
            b"grpc-message" => self.grpc_message = text().map(str::to_owned),
            _ => {}
        }
    }
}

fn text<'a>(block: &mut &'a [u8]) -> Option<Cow<'a, [u8]>> {
    let coded = block.first()? & 0x80 != 0;
    let length = integer(block, 7)?;
    let (text, rest) = block.split_at_checked(length)?;
    *block = rest;
    if coded { huffman::decode(text).map(Cow::Owned) } else { Some(Cow::Borrowed(text)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Section C.6: three answers on one connection, with a table of its own and Huffman coding.
    #[test]
    fn answers_of_the_standard() {
        let mut decoder = Decoder::new();
        let blocks = [
            "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
            "4883640effc1c0bf",
            "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
        ];
        let statuses: Vec<_> = blocks
            .map(|block| {
                let bytes: Vec<u8> = (0..block.len())
                    .step_by(2)
                    .map(|at| u8::from_str_radix(&block[at..at + 2], 16).unwrap())
                    .collect();
                decoder.decode(&bytes).unwrap().status
            })
            .into();
        assert_eq!(statuses, [Some(302), Some(307), Some(200)]);
    }

    #[test]
    fn what_is_no_block_is_refused() {
        for wrong in [
            &[0x80][..],
            &[0xff, 0xff],
            &[0xbe],
            &[0x00, 0x05, b'a'],
            &[0x3f, 0xff, 0x7f],
            &[0x48, 0x82, 0xff, 0xff],
        ] {
            assert_eq!(Decoder::new().decode(wrong), None, "{wrong:x?}");
        }
    }
}
