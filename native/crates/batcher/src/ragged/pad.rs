//! Requests of different shapes become one rectangular tensor.

use super::walk::Walk;
use crate::{Request, Tensor, gather::last_row};
use infermesh_wire::{DataType, Shape};

/// The shape of a batch of `rows` that is as large as its largest request, if any has to be padded for it.
pub fn largest(batch: &[Request], input: usize, rows: usize) -> Option<Shape> {
    let (first, others) = batch.split_first()?;
    let mut shape = first.inputs[input].shape.clone();
    let mut differ = false;
    for request in others {
        for (mine, theirs) in shape.iter_mut().zip(&request.inputs[input].shape).skip(1) {
            differ |= mine != theirs;
            *mine = (*mine).max(*theirs);
        }
    }
    *shape.first_mut()? = rows as i64;
    differ.then_some(shape)
}

/// One input of a batch, on its way to `shape`.
pub struct Pad<'a> {
    pub batch: &'a [Request],
    pub input: usize,
    pub datatype: DataType,
    pub shape: &'a [i64],
    /// One element of it.
    pub padding: &'a [u8],
}

impl Pad<'_> {
    /// How many bytes `write` writes.
    pub fn bytes(&self) -> usize {
        let batch: usize = self
            .batch
            .iter()
            .map(|request| {
                let tensor = &request.inputs[self.input];
                tensor.data.len() + self.missing(tensor) * request.rows * self.padding.len()
            })
            .sum();
        batch + self.surplus() * self.last_row()
    }

    /// Fills `out`, which has so many bytes. Rows beyond the batch's own are copies of its last one.
    pub fn write(&self, out: &mut [u8]) {
        let mut out = Cursor { out, at: 0 };
        let target = sizes(self.shape);
        for request in self.batch {
            let Tensor { shape, data } = &request.inputs[self.input];
            let (own, mut source) = (sizes(shape), Walk::new(data, self.datatype));
            for _ in 0..request.rows {
                self.put(&mut out, data, &mut source, &own, &target);
            }
        }
        let row = self.last_row();
        for _ in 0..self.surplus() {
            out.again(row);
        }
    }

    /// What a part of a row with these dimensions is, and what it lacks.
    fn put(&self, out: &mut Cursor<'_>, data: &[u8], source: &mut Walk<'_>, own: &[usize], target: &[usize]) {
        let (Some((&mine, own)), Some((&most, target))) = (own.split_first(), target.split_first()) else {
            // Validation held the bytes against the shape.
            return out.put(source.next(1).map(|place| &data[place]).unwrap_or_default());
        };
        if own.is_empty() {
            out.put(source.next(mine).map(|place| &data[place]).unwrap_or_default());
        } else {
            (0..mine).for_each(|_| self.put(out, data, source, own, target));
        }
        out.repeat(self.padding, (most - mine) * target.iter().product::<usize>());
    }

    /// Elements of padding in a row.
    fn missing(&self, tensor: &Tensor) -> usize {
        let count = |shape: &[i64]| sizes(shape).into_iter().product::<usize>();
        count(self.shape) - count(&tensor.shape)
    }

    fn surplus(&self) -> usize {
        self.shape[0] as usize - self.batch.iter().map(|request| request.rows).sum::<usize>()
    }

    /// The bytes of the last row that somebody sent, padded.
    fn last_row(&self) -> usize {
        let missing = self.batch.last().map_or(0, |last| self.missing(&last.inputs[self.input]));
        last_row(self.batch, self.input, self.datatype).len() + missing * self.padding.len()
    }
}

/// The dimensions of a row.
fn sizes(shape: &[i64]) -> Vec<usize> {
    shape[1..].iter().map(|&dim| dim as usize).collect()
}

struct Cursor<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl Cursor<'_> {
    fn put(&mut self, bytes: &[u8]) {
        self.out[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    fn repeat(&mut self, element: &[u8], times: usize) {
        let end = self.at + element.len() * times;
        self.out[self.at..end]
            .chunks_exact_mut(element.len())
            .for_each(|place| place.copy_from_slice(element));
        self.at = end;
    }

    /// The last so many bytes once more.
    fn again(&mut self, bytes: usize) {
        self.out.copy_within(self.at - bytes..self.at, self.at);
        self.at += bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mailbox;
    use bytes::Bytes;
    use smallvec::smallvec;
    use std::time::Instant;

    fn request(shape: &[i64], data: &[u8]) -> Request {
        let tensor = Tensor { shape: shape.into(), data: Bytes::copy_from_slice(data) };
        Request::new(smallvec![tensor], shape[0] as usize, Instant::now(), Mailbox::for_this_thread()).0
    }

    fn laid_out(batch: &[Request], rows: usize, datatype: DataType, padding: &[u8]) -> (Shape, Vec<u8>) {
        let shape = largest(batch, 0, rows).unwrap();
        let pad = Pad { batch, input: 0, datatype, shape: &shape, padding };
        let mut out = vec![0xff; pad.bytes()];
        pad.write(&mut out);
        (shape, out)
    }

    #[test]
    fn short_rows_are_filled_up() {
        let batch = [request(&[2, 1], &[1, 2]), request(&[1, 3], &[3, 4, 5])];
        let (shape, out) = laid_out(&batch, 3, DataType::Uint8, &[9]);
        assert_eq!((&shape[..], &out[..]), (&[3, 3][..], &[1, 9, 9, 2, 9, 9, 3, 4, 5][..]));
    }

    #[test]
    fn every_dimension_grows_to_its_largest() {
        let batch = [request(&[1, 1, 2], &[1, 2]), request(&[1, 2, 1], &[3, 4]), request(&[1, 0, 2], &[])];
        let (shape, out) = laid_out(&batch, 3, DataType::Uint8, &[0]);
        assert_eq!((&shape[..], &out[..]), (&[3, 2, 2][..], &[1, 2, 0, 0, 3, 0, 4, 0, 0, 0, 0, 0][..]));
    }

    #[test]
    fn surplus_rows_are_the_last_one() {
        let batch = [request(&[1, 2], &[1, 2]), request(&[1, 1], &[3])];
        let (shape, out) = laid_out(&batch, 4, DataType::Uint8, &[0]);
        assert_eq!((&shape[..], &out[..]), (&[4, 2][..], &[1, 2, 3, 0, 3, 0, 3, 0][..]));
    }

    #[test]
    fn strings_are_padded_with_a_string() {
        let batch = [request(&[1, 2], b"\x01\0\0\0a\0\0\0\0"), request(&[1, 1], b"\x02\0\0\0bc")];
        let (_, out) = laid_out(&batch, 3, DataType::Bytes, b"\x01\0\0\0-");
        let short = b"\x02\0\0\0bc\x01\0\0\0-";
        assert_eq!(out, [&b"\x01\0\0\0a\0\0\0\0"[..], short, short].concat());
    }

    #[test]
    fn equal_shapes_need_no_padding() {
        assert!(largest(&[request(&[2, 2], &[0; 4])], 0, 2).is_none());
        assert!(largest(&[request(&[1, 2], &[0; 2]), request(&[2, 2], &[0; 4])], 0, 3).is_none());
        let absent =
            || Request::new(smallvec![Tensor::absent()], 1, Instant::now(), Mailbox::for_this_thread()).0;
        assert!(largest(&[absent(), absent()], 0, 2).is_none());
    }
}
