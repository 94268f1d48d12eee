//! The classification extension: the largest values of an output's rows, as the texts `value:index[:label]`.

use crate::models::Port;
use bytes::{BufMut, BytesMut};
use infermesh_batcher::Tensor;
use infermesh_wire::{DataType, Error};
use std::{cmp::Ordering, fmt};

/// Fails with INVALID_ARGUMENT for a type whose values are not compared here.
pub fn check(datatype: DataType) -> Result<(), Error> {
    use DataType::*;
    match datatype {
        Bool | Fp16 | Bf16 | Bytes => Err(Error::invalid(format!(
            "class result not available for output due to unsupported type '{}'",
            datatype.name()
        ))),
        _ => Ok(()),
    }
}

/// BYTES of shape [rows, count], or [count] where the model does not batch. A row has no more classes than elements.
pub fn largest(tensor: &Tensor, port: &Port, count: usize, batched: bool) -> Tensor {
    let rows = if batched { tensor.shape.first().map_or(1, |&rows| rows as usize) } else { 1 };
    let row = tensor.data.len() / rows.max(1);
    let count = count.min(row / port.datatype.size().unwrap_or(1));
    let mut data = BytesMut::new();
    for row in tensor.data.chunks_exact(row.max(1)) {
        put_row(&mut data, row, port, count);
    }
    let batch = batched.then_some(rows as i64);
    Tensor { shape: batch.into_iter().chain([count as i64]).collect(), data: data.freeze() }
}

fn put_row(out: &mut BytesMut, row: &[u8], port: &Port, count: usize) {
    macro_rules! put_best {
        ($kind:ty, $value:expr) => {{
            let values = row.as_chunks().0.iter().map(|bytes| $value(<$kind>::from_le_bytes(*bytes)));
            for (index, value) in best(values, count) {
                put_class(out, value, index, port.classes.get(index));
            }
        }};
    }
    match port.datatype {
        DataType::Uint8 => put_best!(u8, u8::from),
        DataType::Uint16 => put_best!(u16, u16::from),
        DataType::Uint32 => put_best!(u32, u32::from),
        DataType::Uint64 => put_best!(u64, u64::from),
        DataType::Int8 => put_best!(i8, i8::from),
        DataType::Int16 => put_best!(i16, i16::from),
        DataType::Int32 => put_best!(i32, i32::from),
        DataType::Int64 => put_best!(i64, i64::from),
        DataType::Fp32 => put_best!(f32, |value| Float(f64::from(value))),
        DataType::Fp64 => put_best!(f64, Float),
        // Refused before the model ran.
        DataType::Bool | DataType::Fp16 | DataType::Bf16 | DataType::Bytes => {}
    }
}

/// The `count` largest, the largest first; of equal ones the first comes first.
fn best<T: Ord>(values: impl Iterator<Item = T>, count: usize) -> Vec<(usize, T)> {
    let descending = |a: &(usize, T), b: &(usize, T)| b.1.cmp(&a.1).then(a.0.cmp(&b.0));
    let mut all: Vec<_> = values.enumerate().collect();
    if count < all.len() {
        all.select_nth_unstable_by(count, descending);
        all.truncate(count);
    }
    all.sort_unstable_by(descending);
    all
}

fn put_class(out: &mut BytesMut, value: impl fmt::Display, index: usize, label: Option<&String>) {
    let text = match label.filter(|label| !label.is_empty()) {
        Some(label) => format!("{value}:{index}:{label}"),
        None => format!("{value}:{index}"),
    };
    out.put_u32_le(text.len() as u32);
    out.put_slice(text.as_bytes());
}

/// Ordered with NaN below everything, written as C's `%f` does.
struct Float(f64);

impl Ord for Float {
    fn cmp(&self, other: &Self) -> Ordering {
        let with_nan = || other.0.is_nan().cmp(&self.0.is_nan());
        self.0.partial_cmp(&other.0).unwrap_or_else(with_nan)
    }
}

impl PartialOrd for Float {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Float {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Float {}

impl fmt::Display for Float {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_nan() { f.write_str("nan") } else { write!(f, "{:.6}", self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use infermesh_wire::{Shape, datatype::elements};

    fn classes(
        datatype: DataType,
        shape: &[i64],
        data: &[u8],
        count: usize,
        batched: bool,
    ) -> (Vec<i64>, Vec<String>) {
        let port = Port {
            name: "y".into(),
            datatype,
            shape: Shape::new(),
            optional: false,
            classes: vec!["cat".into(), String::new(), "dog".into()],
        };
        let tensor = Tensor { shape: Shape::from_slice(shape), data: data.to_vec().into() };
        let found = largest(&tensor, &port, count, batched);
        let texts = elements(&found.data).map(|it| String::from_utf8(it.unwrap().to_vec()).unwrap());
        (found.shape.to_vec(), texts.collect())
    }

    fn floats(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    #[test]
    fn each_row_has_its_own() {
        let data = floats(&[0.5, 3.0, 1.0, 2.0, 9.0, 8.0, 7.0, 6.0]);
        let found = classes(DataType::Fp32, &[2, 4], &data, 2, true);
        assert_eq!(found.0, [2, 2]);
        assert_eq!(found.1, ["3.000000:1", "2.000000:3", "9.000000:0:cat", "8.000000:1"]);
    }

    #[test]
    fn more_than_there_are_is_all_there_are() {
        let found = classes(DataType::Int8, &[3], &[1, 255, 7], 99, false);
        assert_eq!(found, (vec![3], vec!["7:2:dog".into(), "1:0:cat".into(), "-1:1".into()]));
        assert_eq!(classes(DataType::Int8, &[2, 0], &[], 3, true), (vec![2, 0], vec![]));
    }

    #[test]
    fn floats_are_written_as_c_writes_them() {
        let data = floats(&[f32::NAN, 1e30, -0.0, f32::NEG_INFINITY, f32::NAN, 1e-9]);
        let found = classes(DataType::Fp32, &[1, 6], &data, 6, true).1;
        let large = "1000000015047466219876688855040.000000:1";
        assert_eq!(found, [large, "0.000000:5", "-0.000000:2:dog", "-inf:3", "nan:0:cat", "nan:4"]);
    }

    #[test]
    fn of_equal_values_the_first_comes_first() {
        let found = classes(DataType::Uint16, &[4], &[5, 0, 5, 0, 5, 0, 5, 0], 2, false).1;
        assert_eq!(found, ["5:0:cat", "5:1"]);
    }

    #[test]
    fn what_has_no_order_here_is_refused() {
        assert!(check(DataType::Fp64).is_ok());
        let error = check(DataType::Fp16).unwrap_err();
        assert_eq!(error.message, "class result not available for output due to unsupported type 'FP16'");
    }
}
