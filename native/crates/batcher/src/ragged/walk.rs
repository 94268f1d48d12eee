//! Goes through a tensor's elements, whatever their type.

use infermesh_wire::DataType;
use std::ops::Range;

#[derive(Debug)]
pub struct Walk<'a> {
    data: &'a [u8],
    /// Of an element; strings have their length in front.
    size: Option<usize>,
    at: usize,
}

impl<'a> Walk<'a> {
    pub fn new(data: &'a [u8], datatype: DataType) -> Self {
        Self { data, size: datatype.size(), at: 0 }
    }

    /// Where the next `count` elements are; `None` if there are not so many.
    pub fn next(&mut self, count: usize) -> Option<Range<usize>> {
        let from = self.at;
        let to = match self.size {
            Some(size) => from.checked_add(count.checked_mul(size)?)?,
            None => (0..count).try_fold(from, |at, _| {
                let length = self.data.get(at..)?.first_chunk()?;
                (at + 4).checked_add(u32::from_le_bytes(*length) as usize)
            })?,
        };
        self.data.get(from..to)?;
        self.at = to;
        Some(from..to)
    }

    pub fn is_done(&self) -> bool {
        self.at == self.data.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_one_size_are_counted() {
        let mut walk = Walk::new(&[0; 12], DataType::Fp32);
        assert_eq!((walk.next(0), walk.next(2), walk.next(2)), (Some(0..0), Some(0..8), None));
        assert_eq!((walk.next(1), walk.is_done(), walk.next(usize::MAX)), (Some(8..12), true, None));
    }

    #[test]
    fn strings_are_as_long_as_they_say() {
        let data = b"\x01\0\0\0a\0\0\0\0\x02\0\0\0bc";
        let mut walk = Walk::new(data, DataType::Bytes);
        assert_eq!((walk.next(2), walk.next(1), walk.next(1)), (Some(0..9), Some(9..15), None));
        assert!(walk.is_done());
        assert_eq!(Walk::new(&data[..14], DataType::Bytes).next(3), None);
        assert_eq!(Walk::new(&data[..2], DataType::Bytes).next(1), None);
    }
}
