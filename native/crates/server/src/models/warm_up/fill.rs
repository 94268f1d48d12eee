//! Tensors of given values, aligned for any element type.

use bytes::Bytes;
use infermesh_batcher::Tensor;
use infermesh_wire::{DataType, Shape};

/// What the elements are. Strings are empty in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    Zeros,
    /// Floating point from 0.5 to 1, whole numbers and booleans 0 or 1: values that few models object to.
    Random,
}

/// `shape` has no free dimension.
pub fn tensor(datatype: DataType, shape: Shape, fill: Fill) -> Tensor {
    let count = shape.iter().product::<i64>().max(0) as usize;
    // An empty string is four bytes of length.
    let length = count * datatype.size().unwrap_or(4);
    let mut memory = Aligned::zeros(length);
    if fill == Fill::Random {
        randomise(memory.bytes_mut(), datatype);
    }
    Tensor { shape, data: Bytes::from_owner(memory) }
}

/// `row`, repeated `rows` times; `shape` is that of the whole.
pub fn repeat(row: &[u8], rows: usize, shape: Shape) -> Tensor {
    let mut memory = Aligned::zeros(row.len() * rows);
    if !row.is_empty() {
        memory.bytes_mut().chunks_exact_mut(row.len()).for_each(|place| place.copy_from_slice(row));
    }
    Tensor { shape, data: Bytes::from_owner(memory) }
}

/// The first rows of a tensor of zeros, or of empty strings: all of its rows have the same length.
pub fn first_rows(whole: &Tensor, rows: usize) -> Tensor {
    let mut shape = whole.shape.clone();
    let all = std::mem::replace(&mut shape[0], rows as i64).max(1) as usize;
    Tensor { shape, data: whole.data.slice(..whole.data.len() / all * rows) }
}

/// By Vigna's splitmix64, from a fixed seed: the same values at every start.
fn randomise(bytes: &mut [u8], datatype: DataType) {
    let mut state = 0u64;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    // The exponent of [0.5, 1), and as many bits below it as the type's fraction has.
    let (exponent, fraction): (u64, u32) = match datatype {
        DataType::Fp16 => (0x3800, 10),
        DataType::Bf16 => (0x3f00, 7),
        DataType::Fp32 => (0x3f00_0000, 23),
        DataType::Fp64 => (0x3fe0_0000_0000_0000, 52),
        DataType::Bytes => return,
        _ => (0, 1),
    };
    let size = datatype.size().unwrap_or(1);
    for element in bytes.chunks_exact_mut(size) {
        let value = exponent | (next() & ((1 << fraction) - 1));
        element.copy_from_slice(&value.to_le_bytes()[..size]);
    }
}

struct Aligned {
    words: Vec<u128>,
    length: usize,
}

impl Aligned {
    fn zeros(length: usize) -> Self {
        Self { words: vec![0; length.div_ceil(size_of::<u128>())], length }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: the words hold at least `length` initialised bytes, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.words.as_mut_ptr().cast(), self.length) }
    }
}

impl AsRef<[u8]> for Aligned {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the words hold at least `length` initialised bytes.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast(), self.length) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smallvec::smallvec;

    fn values<const N: usize, T>(tensor: &Tensor, read: impl Fn([u8; N]) -> T) -> Vec<T> {
        tensor.data.chunks_exact(N).map(|chunk| read(chunk.try_into().unwrap())).collect()
    }

    #[test]
    fn random_values_are_harmless_and_differ() {
        let floats = values(&tensor(DataType::Fp32, smallvec![100], Fill::Random), f32::from_le_bytes);
        assert!(floats.iter().all(|value| (0.5..1.0).contains(value)));
        assert!(floats.windows(2).any(|pair| pair[0] != pair[1]));
        let doubles = values(&tensor(DataType::Fp64, smallvec![100], Fill::Random), f64::from_le_bytes);
        assert!(doubles.iter().all(|value| (0.5..1.0).contains(value)));
        let whole = values(&tensor(DataType::Int64, smallvec![100], Fill::Random), i64::from_le_bytes);
        assert!(whole.contains(&0) && whole.contains(&1) && whole.iter().all(|value| (0..2).contains(value)));
        let halves = values(&tensor(DataType::Bf16, smallvec![100], Fill::Random), u16::from_le_bytes);
        assert!(halves.iter().all(|bits| (0x3f00..0x3f80).contains(bits)));
        assert_eq!(tensor(DataType::Bytes, smallvec![3], Fill::Random).data, [0u8; 12][..]);
    }

    #[test]
    fn a_row_fills_a_batch() {
        let filled = repeat(&[1, 2], 3, smallvec![3, 2]);
        assert_eq!(filled.data, [1, 2, 1, 2, 1, 2][..]);
        assert!(filled.data.as_ptr().addr().is_multiple_of(8));
        assert!(repeat(&[], 3, smallvec![3, 0]).data.is_empty());
    }
}
