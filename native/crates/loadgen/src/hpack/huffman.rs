//! HPACK's Huffman code (RFC 7541, appendix B). It is canonical, so the lengths of the codes are all there is to know.

use std::sync::LazyLock;

/// Of each symbol's code, in bits, as a digit of base 36.
const LENGTHS: &[u8; 256] = b"dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6cad67777777777777777777777878djde6f\
56565666577666567655677777fbedskmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllmlnmnnkmmmnmmnqqkjmnmpqqqrrqopjlqrrqrollqqsrrr\
koklmllnmmppooqnqrqqrrrrrsrrrrrq";

const LONGEST: usize = 30;

struct Code {
    /// Symbols by length, then by value.
    symbols: Vec<u8>,
    /// For each length: its first code, the position of that one's symbol, how many there are.
    lengths: [(u32, usize, u32); LONGEST + 1],
}

static CODE: LazyLock<Code> = LazyLock::new(|| {
    let length = |symbol: &u8| char::from(LENGTHS[usize::from(*symbol)]).to_digit(36).unwrap_or(0);
    let mut symbols: Vec<u8> = (0..=255).collect();
    symbols.sort_by_key(|symbol| (length(symbol), *symbol));
    let mut lengths = [(0, 0, 0); LONGEST + 1];
    let (mut code, mut position) = (0u32, 0);
    for (bits, entry) in lengths.iter_mut().enumerate().skip(1) {
        code <<= 1;
        let count = symbols[position..].iter().take_while(|symbol| length(symbol) as usize == bits).count();
        *entry = (code, position, count as u32);
        code += count as u32;
        position += count;
    }
    Code { symbols, lengths }
});

/// None for what is not coded so.
pub fn decode(coded: &[u8]) -> Option<Vec<u8>> {
    let table = &*CODE;
    let mut decoded = Vec::with_capacity(coded.len() * 8 / 5);
    let (mut code, mut bits) = (0u32, 0);
    for byte in coded {
        for shift in (0..8).rev() {
            code = (code << 1) | u32::from((byte >> shift) & 1);
            bits += 1;
            let (first, position, count) = *table.lengths.get(bits)?;
            if code.checked_sub(first).is_some_and(|offset| offset < count) {
                decoded.push(table.symbols[position + (code - first) as usize]);
                (code, bits) = (0, 0);
            }
        }
    }
    // What is left over is the beginning of the code of the end: ones, fewer than eight.
    (bits < 8 && code == (1 << bits) - 1).then_some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_the_standard() {
        assert_eq!(
            decode(&[0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff]).unwrap(),
            b"www.example.com"
        );
        assert_eq!(decode(&[0x64, 0x02]).unwrap(), b"302");
        assert_eq!(decode(&[]).unwrap(), b"");
        assert_eq!(decode(&[0xff, 0xff]), None);
    }
}
