//! How shape and bytes of a tensor belong together, and where its rows end.

use crate::{DataType, datatype::elements};
use std::ops::Range;

/// The number of elements that a shape stands for; `None` for one that no tensor can have.
pub fn count(shape: &[i64]) -> Option<i64> {
    shape.iter().try_fold(1i64, |product, &dim| if dim < 0 { None } else { product.checked_mul(dim) })
}

/// Whether `data` is a tensor of this type and shape: no byte too few, none too many.
pub fn is_whole(datatype: DataType, shape: &[i64], data: &[u8]) -> bool {
    let Some(count) = count(shape) else { return false };
    match datatype.size() {
        Some(size) => count.checked_mul(size as i64) == Some(data.len() as i64),
        None => {
            let mut found = 0;
            elements(data).all(|element| {
                found += 1;
                element.is_some()
            }) && found == count
        }
    }
}

/// Where each row of a tensor ends, its rows being what its first dimension counts.
pub enum RowEnds {
    Every(usize),
    At(Vec<usize>),
}

impl RowEnds {
    /// `None` for BYTES with fewer elements than the shape says, and for a shape without dimensions.
    pub fn of(datatype: DataType, shape: &[i64], data: &[u8]) -> Option<Self> {
        let (&rows, rest) = shape.split_first()?;
        let rows = usize::try_from(rows).ok()?;
        if datatype.size().is_some() {
            return Some(Self::Every(data.len() / rows.max(1)));
        }
        let per_row = count(rest)?;
        let (mut ends, mut at) = (vec![0], 0);
        let mut elements = elements(data);
        for _ in 0..rows {
            for _ in 0..per_row {
                at += 4 + elements.next()??.len();
            }
            ends.push(at);
        }
        Some(Self::At(ends))
    }

    /// The bytes of some of the rows.
    pub fn bytes(&self, rows: Range<usize>) -> Range<usize> {
        match self {
            Self::Every(size) => rows.start * size..rows.end * size,
            Self::At(ends) => ends[rows.start]..ends[rows.end],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &[u8] = b"\x01\0\0\0a\0\0\0\0\x02\0\0\0bc\x01\0\0\0d";

    #[test]
    fn shape_and_bytes_belong_together_or_do_not() {
        assert!(is_whole(DataType::Fp32, &[2, 1], &[0; 8]));
        assert!(is_whole(DataType::Fp32, &[], &[0; 4]));
        assert!(is_whole(DataType::Fp32, &[2, 0], &[]));
        assert!(is_whole(DataType::Bytes, &[2, 2], WORDS));
        for (shape, size) in [(&[2][..], 7), (&[-1, -2], 8), (&[i64::MAX, 4], 8), (&[1 << 62, 2], 8)] {
            assert!(!is_whole(DataType::Fp32, shape, &vec![0; size]), "{shape:?}");
        }
        assert!(!is_whole(DataType::Bytes, &[3], WORDS));
        assert!(!is_whole(DataType::Bytes, &[4], &WORDS[..WORDS.len() - 1]));
    }

    #[test]
    fn rows_of_strings_end_where_their_last_element_does() {
        let ends = RowEnds::of(DataType::Bytes, &[2, 2], WORDS).unwrap();
        assert_eq!(&WORDS[ends.bytes(1..2)], b"\x02\0\0\0bc\x01\0\0\0d");
        assert!(ends.bytes(2..2).is_empty());
        assert!(RowEnds::of(DataType::Bytes, &[2, 3], WORDS).is_none());
    }

    #[test]
    fn rows_of_numbers_have_one_size() {
        let ends = RowEnds::of(DataType::Int16, &[3, 2], &[0; 12]).unwrap();
        assert_eq!(ends.bytes(1..3), 4..12);
        assert_eq!(RowEnds::of(DataType::Int16, &[0, 2], &[]).unwrap().bytes(0..0), 0..0);
        assert!(RowEnds::of(DataType::Int16, &[], &[0; 2]).is_none());
    }
}
