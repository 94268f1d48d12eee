//! HPACK (RFC 7541), as far as one side of one connection needs it.
//!
//! A run sends the same few header blocks a million times and gets the same few back. So blocks are remembered whole: a
//! block is put together or taken apart anew only when a dynamic table has changed.

mod decoder;
mod encoder;
mod huffman;
mod table;

pub use decoder::{Decoder, Fields};
pub use encoder::Encoder;

/// An integer with a prefix of so many bits (section 5.1), `flags` above it.
fn put_integer(out: &mut Vec<u8>, value: usize, bits: u32, flags: u8) {
    let most = (1 << bits) - 1;
    if value < most {
        return out.push(flags | value as u8);
    }
    out.push(flags | most as u8);
    let mut rest = value - most;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// None if the block ends within it, or it is larger than any length that is allowed.
fn integer(block: &mut &[u8], bits: u32) -> Option<usize> {
    let (first, mut rest) = block.split_first()?;
    let most = (1usize << bits) - 1;
    let mut value = usize::from(*first) & most;
    if value == most {
        for shift in [0, 7, 14, 21] {
            let (byte, after) = rest.split_first()?;
            rest = after;
            value += usize::from(byte & 0x7f) << shift;
            if byte < &0x80 {
                *block = rest;
                return Some(value);
            }
        }
        return None;
    }
    *block = rest;
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_the_standard() {
        let mut out = Vec::new();
        put_integer(&mut out, 10, 5, 0);
        put_integer(&mut out, 1337, 5, 0);
        put_integer(&mut out, 42, 8, 0);
        assert_eq!(out, [0b01010, 0b11111, 0b10011010, 0b00001010, 0b00101010]);
        let mut block = &out[..];
        let read = [integer(&mut block, 5), integer(&mut block, 5), integer(&mut block, 8)];
        assert_eq!(read, [Some(10), Some(1337), Some(42)]);
        assert_eq!(integer(&mut &[0x1f, 0xff, 0xff, 0xff, 0xff, 0x01][..], 5), None);
        assert_eq!(integer(&mut &[0x1f, 0x80][..], 5), None);
    }

    #[test]
    fn a_table_that_shrinks_and_grows_again_is_told_both_sizes() {
        let fields = [("x-name", "value"), ("grpc-status", "5")];
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
        decoder.decode(&encoder.encode(&fields)).unwrap();
        encoder.limit(0);
        encoder.limit(4096);
        let block = encoder.encode(&fields);
        assert_eq!(block[..4], [0x20, 0x3f, 0xe1, 0x1f], "0, then 4096");
        assert_eq!(decoder.decode(&block).unwrap().grpc_status, Some(5));
        // Both tables hold the same again.
        let second = encoder.encode(&fields);
        assert_eq!(second.len(), 2);
        assert_eq!(decoder.decode(&second).unwrap().grpc_status, Some(5));
        encoder.limit(1 << 20);
        assert_eq!(encoder.encode(&fields), second, "larger than what both begin with changes nothing");
    }

    #[test]
    fn what_no_longer_fits_is_evicted_on_both_sides() {
        let long = "v".repeat(1_500);
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
        for round in 0..6u8 {
            let fields = [(format!("x-{round}"), long.as_str()), ("grpc-status".into(), "7")];
            let block = encoder.encode(&fields.each_ref().map(|(name, value)| (name.as_str(), *value)));
            assert_eq!(decoder.decode(&block).unwrap().grpc_status, Some(7), "round {round}");
        }
        // A peer that inserts more than the table holds: the oldest go, the newest is the first.
        let entry = |value: u8| [&[0x40, 1, b'x', 0x7f, 0xa1, 0x0f][..], &[value; 2_080]].concat();
        for value in *b"abc" {
            decoder.decode(&entry(value)).unwrap();
        }
        assert!(decoder.decode(&[0xbe]).is_some() && decoder.decode(&[0xbf]).is_none());
    }

    #[test]
    fn what_is_encoded_is_decoded_with_fewer_bytes_each_time() {
        let fields = [
            (":method", "POST"),
            (":path", "/a/b"),
            ("te", "trailers"),
            (":status", "200"),
            ("grpc-status", "5"),
        ];
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
        let first = encoder.encode(&fields);
        let second = encoder.encode(&fields);
        assert!(second.len() < first.len() / 3, "{} {}", first.len(), second.len());
        assert_eq!(second, encoder.encode(&fields));
        for block in [first, second.clone(), second] {
            let found = decoder.decode(&block).unwrap();
            assert_eq!((found.status, found.grpc_status), (Some(200), Some(5)));
        }
    }
}
