//! Puts requests' tensors together for a backend and takes its outputs apart again.

use crate::{Request, Tensor, TensorView};
use bytes::Bytes;
use infermesh_wire::{DataType, Error, datatype::elements};
use smallvec::SmallVec;

/// Reusable input memory of one instance, aligned for any element type.
#[derive(Debug, Default)]
pub struct Scratch {
    buffers: Vec<Vec<u128>>,
}

impl Scratch {
    /// The batch's inputs. A lone request's tensors are used where they are; several are copied once, side by side.
    pub fn gather<'a>(&'a mut self, batch: &'a [Request], datatypes: &[DataType]) -> Vec<TensorView<'a>> {
        self.buffers.resize_with(datatypes.len(), Vec::new);
        self.buffers
            .iter_mut()
            .zip(datatypes)
            .enumerate()
            .map(|(input, (buffer, datatype))| {
                let first = &batch[0].inputs[input];
                let mut shape = first.shape.clone();
                if let [lone] = batch
                    && is_aligned(&lone.inputs[input].data, *datatype)
                {
                    return TensorView { shape, data: &lone.inputs[input].data };
                }
                let size = batch.iter().map(|request| request.inputs[input].data.len()).sum();
                if batch.len() > 1 {
                    shape[0] = batch.iter().map(|request| request.rows as i64).sum();
                }
                let copied = bytes_of(buffer, size);
                let mut rest = &mut copied[..];
                for request in batch {
                    let data = &request.inputs[input].data;
                    let (here, after) = rest.split_at_mut(data.len());
                    here.copy_from_slice(data);
                    rest = after;
                }
                TensorView { shape, data: copied }
            })
            .collect()
    }
}

fn is_aligned(data: &Bytes, datatype: DataType) -> bool {
    data.as_ptr().addr().is_multiple_of(datatype.size().unwrap_or(1))
}

fn bytes_of(buffer: &mut Vec<u128>, size: usize) -> &mut [u8] {
    let words = size.div_ceil(size_of::<u128>());
    if buffer.len() < words {
        buffer.resize(words, 0);
    }
    // SAFETY: the buffer holds at least `size` initialised bytes, u8 has no alignment, and the borrow is exclusive.
    unsafe { std::slice::from_raw_parts_mut(buffer.as_mut_ptr().cast(), size) }
}

/// Each request's own rows, in the order of the batch; slices of the outputs, not copies.
///
/// Fails with INTERNAL if an output does not have one row per row of the batch.
pub fn split(
    batch: &[Request],
    outputs: &[Tensor],
    datatypes: &[DataType],
) -> Result<Vec<SmallVec<[Tensor; 2]>>, Error> {
    if let [_] = batch {
        return Ok(vec![outputs.iter().cloned().collect()]);
    }
    let mut shares: Vec<SmallVec<[Tensor; 2]>> = batch.iter().map(|_| SmallVec::new()).collect();
    for (output, datatype) in outputs.iter().zip(datatypes) {
        let ends = row_ends(output, *datatype)?;
        let mut row = 0;
        for (request, share) in batch.iter().zip(&mut shares) {
            let (from, to) = (ends.byte(row), ends.byte(row + request.rows));
            row += request.rows;
            let mut shape = output.shape.clone();
            shape[0] = request.rows as i64;
            share.push(Tensor { shape, data: output.data.slice(from..to) });
        }
    }
    Ok(shares)
}

/// Fails with INTERNAL unless every output's first dimension is `rows`.
pub fn check_rows(outputs: &[Tensor], rows: usize) -> Result<(), Error> {
    for (index, output) in outputs.iter().enumerate() {
        if output.shape.first() != Some(&(rows as i64)) {
            return Err(Error::internal(format!(
                "output {index} of the model has shape {:?} for a batch of {rows}: its first dimension must be the batch",
                &output.shape[..]
            )));
        }
    }
    Ok(())
}

/// Where each row of an output ends.
enum RowEnds {
    Every(usize),
    At(Vec<usize>),
}

impl RowEnds {
    fn byte(&self, row: usize) -> usize {
        match self {
            Self::Every(size) => row * size,
            Self::At(ends) => ends[row],
        }
    }
}

fn row_ends(output: &Tensor, datatype: DataType) -> Result<RowEnds, Error> {
    let rows = output.shape[0] as usize;
    if datatype.size().is_some() {
        return Ok(RowEnds::Every(output.data.len() / rows.max(1)));
    }
    let per_row = output.shape[1..].iter().product::<i64>() as usize;
    let (mut ends, mut at) = (vec![0], 0);
    let mut elements = elements(&output.data);
    for _ in 0..rows {
        for _ in 0..per_row {
            match elements.next() {
                Some(Some(element)) => at += 4 + element.len(),
                _ => {
                    return Err(Error::internal(
                        "the model returned fewer BYTES elements than its shape says",
                    ));
                }
            }
        }
        ends.push(at);
    }
    Ok(RowEnds::At(ends))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mailbox;
    use smallvec::smallvec;
    use std::time::Instant;

    fn request(rows: usize, data: Bytes) -> Request {
        let inputs = smallvec![Tensor { shape: smallvec![rows as i64, 2], data }];
        Request::new(inputs, rows, Instant::now(), Mailbox::for_this_thread()).0
    }

    #[test]
    fn a_lone_aligned_request_is_not_copied() {
        let batch = [request(1, Bytes::from_owner(AlignedBytes([7; 8])))];
        let mut scratch = Scratch::default();
        let views = scratch.gather(&batch, &[DataType::Fp32]);
        assert_eq!(views[0].data.as_ptr(), batch[0].inputs[0].data.as_ptr());
    }

    #[repr(align(8))]
    struct AlignedBytes([u8; 8]);
    impl AsRef<[u8]> for AlignedBytes {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }

    #[test]
    fn a_lone_misaligned_request_is_copied_into_place() {
        let received = Bytes::from_owner(AlignedBytes([0, 1, 2, 3, 4, 5, 6, 7]));
        let batch = [request(1, received.slice(1..5))];
        let mut scratch = Scratch::default();
        let views = scratch.gather(&batch, &[DataType::Fp32]);
        assert_eq!(views[0].data, [1, 2, 3, 4]);
        assert!(views[0].data.as_ptr().addr().is_multiple_of(4));
    }

    #[test]
    fn rows_come_back_to_their_requests() {
        let batch = [request(1, Bytes::from_static(&[1; 2])), request(2, Bytes::from_static(&[2; 4]))];
        let mut scratch = Scratch::default();
        let views = scratch.gather(&batch, &[DataType::Uint8]);
        assert_eq!((views[0].data, &views[0].shape[..]), (&[1, 1, 2, 2, 2, 2][..], &[3, 2][..]));
        let output = Tensor { shape: views[0].shape.clone(), data: Bytes::copy_from_slice(views[0].data) };
        let shares = split(&batch, &[output], &[DataType::Uint8]).unwrap();
        assert_eq!(shares[0][0], batch[0].inputs[0]);
        assert_eq!(shares[1][0], batch[1].inputs[0]);
    }

    #[test]
    fn strings_are_split_by_element() {
        let batch = [request(1, Bytes::new()), request(1, Bytes::new())];
        let data = Bytes::from_static(b"\x01\0\0\0a\0\0\0\0\x02\0\0\0bc\x01\0\0\0d");
        let output = Tensor { shape: smallvec![2, 2], data };
        let shares = split(&batch, std::slice::from_ref(&output), &[DataType::Bytes]).unwrap();
        assert_eq!(&shares[0][0].data[..], b"\x01\0\0\0a\0\0\0\0");
        assert_eq!(&shares[1][0].data[..], b"\x02\0\0\0bc\x01\0\0\0d");
        let cut = Tensor { data: output.data.slice(..9), ..output };
        assert!(split(&batch, &[cut], &[DataType::Bytes]).is_err());
    }

    #[test]
    fn an_output_without_the_batch_is_refused() {
        let output = Tensor { shape: smallvec![1, 10], data: Bytes::from_static(&[0; 40]) };
        assert!(check_rows(std::slice::from_ref(&output), 1).is_ok());
        let error = check_rows(&[output], 2).unwrap_err();
        assert!(error.message.contains("[1, 10] for a batch of 2"), "{error}");
    }
}
