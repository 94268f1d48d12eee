//! Just enough of HPACK's Huffman code (RFC 7541, appendix B) to replace characters where they are.
//!
//! The code is canonical: codes of one length follow each other. So the number of codes of each length tells where one
//! ends, and the table of symbols is not needed.

/// `(bits, how many codes have so many)`, ascending.
const CODES: [(u32, u64); 21] = [
    (5, 10),
    (6, 26),
    (7, 32),
    (8, 6),
    (10, 5),
    (11, 3),
    (12, 2),
    (13, 6),
    (14, 2),
    (15, 3),
    (19, 3),
    (20, 8),
    (21, 13),
    (22, 26),
    (23, 29),
    (24, 12),
    (25, 4),
    (26, 15),
    (27, 19),
    (28, 29),
    (30, 4),
];

/// Space, `%`, `/` and `=`: characters of paths that an authority may not have. All have six bits, as the dash has.
const OFFENDING: [u64; 4] = [0x14, 0x15, 0x18, 0x20];
const DASH: u64 = 0x16;
const SIX: u32 = 6;

/// Replaces the offending characters with dashes.
pub fn replace(value: &mut [u8]) {
    let mut at = 0;
    while let Some((code, bits)) = code_at(value, at) {
        if bits == SIX && OFFENDING.contains(&code) {
            for (place, bit) in (at..at + 6).zip((0..6).rev()) {
                let mask = 0x80 >> (place % 8);
                match DASH >> bit & 1 {
                    1 => value[place / 8] |= mask,
                    _ => value[place / 8] &= !mask,
                }
            }
        }
        at += bits as usize;
    }
}

/// The code that starts at a bit, and its length; `None` at the end, in the padding, and in what is no code.
fn code_at(value: &[u8], at: usize) -> Option<(u64, u32)> {
    // The first code of each length is one past the last of the length before, lengthened with zeros.
    let (mut first, mut last_bits) = (0, 0);
    for (bits, count) in CODES {
        first <<= bits - last_bits;
        last_bits = bits;
        let code = read(value, at, bits)?;
        if code < first + count {
            return Some((code, bits));
        }
        first += count;
    }
    None
}

fn read(value: &[u8], at: usize, bits: u32) -> Option<u64> {
    (at..at + bits as usize).try_fold(0, |code, place| {
        let byte = u64::from(*value.get(place / 8)?);
        Some(code << 1 | byte >> (7 - place % 8) & 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_complete() {
        // Kraft's sum of a code in which every sequence of bits means something is 1.
        let sum: u64 = CODES.iter().map(|(bits, count)| count << (30 - bits)).sum();
        assert_eq!(sum, 1 << 30);
        assert_eq!(CODES.iter().map(|(_, count)| count).sum::<u64>(), 257);
    }
}
