//! Header blocks of requests. What fits the table is told once and then pointed to.

use super::{
    put_integer,
    table::{DEFAULT_SIZE, Dynamic, STATIC},
};

pub struct Encoder {
    table: Dynamic,
    /// Counts changes of the table: what was encoded before holds no longer.
    version: u64,
    /// Sizes of the table that the peer must be told about: the smallest there was, and the last.
    resized: Option<(usize, usize)>,
}

impl Encoder {
    pub fn new() -> Self {
        Self { table: Dynamic::new(), version: 0, resized: None }
    }

    /// The peer's SETTINGS_HEADER_TABLE_SIZE.
    pub fn limit(&mut self, size: usize) {
        let size = size.min(DEFAULT_SIZE);
        if size == self.table.limit() {
            return;
        }
        // RFC 7541, section 4.2: what the smallest size evicted is gone, even if the table has grown again.
        let smallest = self.resized.map_or(size, |(smallest, _)| smallest.min(size));
        self.table.resize(size);
        self.resized = Some((smallest, size));
        self.version += 1;
    }

    /// As long as it stays the same, so do the blocks that were encoded since.
    pub fn version(&self) -> u64 {
        self.version
    }

    pub fn encode(&mut self, fields: &[(&str, &str)]) -> Vec<u8> {
        let mut block = Vec::with_capacity(128);
        if let Some((smallest, size)) = self.resized.take() {
            if smallest < size {
                put_integer(&mut block, smallest, 5, 0x20);
            }
            put_integer(&mut block, size, 5, 0x20);
            self.version += 1;
        }
        for (name, value) in fields {
            self.field(&mut block, name, value);
        }
        block
    }

    fn field(&mut self, block: &mut Vec<u8>, name: &str, value: &str) {
        let known = STATIC.iter().position(|field| *field == (name, value)).map(|position| position + 1);
        let told = || self.table.position(name.as_bytes(), value.as_bytes());
        if let Some(index) = known.or_else(|| told().map(|position| position + 1 + STATIC.len())) {
            return put_integer(block, index, 7, 0x80);
        }
        let named = STATIC.iter().position(|field| field.0 == name).map_or(0, |position| position + 1);
        if self.table.fits(name.as_bytes(), value.as_bytes()) {
            put_integer(block, named, 6, 0x40);
            self.table.insert(name.as_bytes(), value.as_bytes());
            self.version += 1;
        } else {
            put_integer(block, named, 4, 0);
        }
        if named == 0 {
            text(block, name);
        }
        text(block, value);
    }

    /// A field that no other request has, behind an encoded block.
    pub fn append_once(block: &mut Vec<u8>, name: &str, value: &str) {
        block.push(0);
        text(block, name);
        text(block, value);
    }
}

fn text(block: &mut Vec<u8>, text: &str) {
    put_integer(block, text.len(), 7, 0);
    block.extend_from_slice(text.as_bytes());
}
