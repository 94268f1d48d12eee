//! Puts requests' tensors together for a backend and takes its outputs apart again.

use crate::{Backend, Request, Tensor, TensorView, backend::Memory};
use bytes::Bytes;
use infermesh_wire::{DataType, Error, datatype::elements};
use smallvec::SmallVec;

/// Reusable input memory of one instance, aligned for any element type.
#[derive(Default)]
pub struct Scratch {
    buffers: Vec<Box<dyn Memory>>,
}

impl Scratch {
    /// The batch's inputs, `rows` of them, for `backend`. A lone request's tensors are used where they are; several are copied once,
    /// side by side. Rows beyond the batch's own are copies of its last one: values that some caller sent, on which
    /// the model behaves as it does on any, where zeros might divide by zero or be no valid string.
    pub fn gather<'a>(
        &'a mut self,
        batch: &'a [Request],
        datatypes: &[DataType],
        rows: usize,
        backend: &dyn Backend,
    ) -> Vec<TensorView<'a>> {
        let surplus = rows - batch.iter().map(|request| request.rows).sum::<usize>();
        self.buffers.resize_with(datatypes.len(), || Box::new(Words(Vec::new())));
        self.buffers
            .iter_mut()
            .zip(datatypes)
            .enumerate()
            .map(|(input, (buffer, datatype))| {
                let first = &batch[0].inputs[input];
                let mut shape = first.shape.clone();
                if let [lone] = batch
                    && surplus == 0
                    && is_aligned(&lone.inputs[input].data, *datatype)
                {
                    return TensorView { shape, data: &lone.inputs[input].data };
                }
                let filler = if surplus > 0 { last_row(batch, input, *datatype) } else { &[] };
                let own: usize = batch.iter().map(|request| request.inputs[input].data.len()).sum();
                if batch.len() > 1 || surplus > 0 {
                    shape[0] = rows as i64;
                }
                let copied = grown(buffer, own + filler.len() * surplus, backend);
                let mut rest = &mut copied[..];
                for request in batch {
                    let data = &request.inputs[input].data;
                    let (here, after) = rest.split_at_mut(data.len());
                    here.copy_from_slice(data);
                    rest = after;
                }
                if !filler.is_empty() {
                    rest.chunks_exact_mut(filler.len()).for_each(|row| row.copy_from_slice(filler));
                }
                TensorView { shape, data: copied }
            })
            .collect()
    }
}

/// The bytes of the batch's last row.
fn last_row(batch: &[Request], input: usize, datatype: DataType) -> &[u8] {
    let Some(last) = batch.last() else { return &[] };
    let Tensor { shape, data } = &last.inputs[input];
    if datatype.size().is_some() {
        return &data[data.len() - data.len() / last.rows.max(1)..];
    }
    let per_row = shape.get(1..).unwrap_or_default().iter().product::<i64>() as usize;
    let before = elements(data).take(per_row * (last.rows - 1)).flatten();
    &data[before.map(|element| 4 + element.len()).sum::<usize>()..]
}

fn is_aligned(data: &Bytes, datatype: DataType) -> bool {
    data.as_ptr().addr().is_multiple_of(datatype.size().unwrap_or(1))
}

/// The first `size` bytes, in larger memory if need be.
fn grown<'a>(buffer: &'a mut Box<dyn Memory>, size: usize, backend: &dyn Backend) -> &'a mut [u8] {
    if buffer.bytes().len() < size {
        let words = || Box::new(Words(vec![0; size.div_ceil(size_of::<u128>())]));
        *buffer = backend.memory(size).unwrap_or_else(|| words());
    }
    &mut buffer.bytes()[..size]
}

/// Ordinary memory.
struct Words(Vec<u128>);

impl Memory for Words {
    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the words are initialised, u8 has no alignment, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), size_of_val(&self.0[..])) }
    }
}

/// Each request's own rows, in the order of the batch; slices of the outputs, not copies. Rows behind them, with which
/// the batch was filled up, belong to nobody.
///
/// Fails with INTERNAL if an output does not have one row per row of the batch.
pub fn split(
    batch: &[Request],
    outputs: &[Tensor],
    datatypes: &[DataType],
    rows: usize,
) -> Result<Vec<SmallVec<[Tensor; 2]>>, Error> {
    if let [lone] = batch
        && lone.rows == rows
    {
        return Ok(vec![outputs.iter().cloned().collect()]);
    }
    check_rows(outputs, rows)?;
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
fn check_rows(outputs: &[Tensor], rows: usize) -> Result<(), Error> {
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

    /// Any memory will do.
    struct Plain;

    impl Backend for Plain {
        fn run(&mut self, _: &[TensorView<'_>]) -> Result<Vec<Tensor>, Error> {
            unreachable!("nothing is run here")
        }
    }

    /// Has memory of its own, with something in it.
    struct Own;

    impl Backend for Own {
        fn run(&mut self, _: &[TensorView<'_>]) -> Result<Vec<Tensor>, Error> {
            unreachable!("nothing is run here")
        }

        fn memory(&self, bytes: usize) -> Option<Box<dyn Memory>> {
            Some(Box::new(Words(vec![u128::MAX; bytes])))
        }
    }

    #[test]
    fn inputs_are_put_together_in_the_backends_own_memory() {
        let batch = [request(1, Bytes::from_static(&[1; 2])), request(1, Bytes::from_static(&[2; 2]))];
        let mut scratch = Scratch::default();
        let first = scratch.gather(&batch, &[DataType::Uint8], 2, &Own)[0].data.as_ptr();
        let views = scratch.gather(&batch, &[DataType::Uint8], 2, &Own);
        assert_eq!((views[0].data, views[0].data.as_ptr()), (&[1, 1, 2, 2][..], first));
        // So that it is known to be that memory.
        assert_eq!(scratch.buffers[0].bytes()[4..6], [255, 255]);
    }

    #[test]
    fn a_lone_aligned_request_is_not_copied() {
        let batch = [request(1, Bytes::from_owner(AlignedBytes([7; 8])))];
        let mut scratch = Scratch::default();
        let views = scratch.gather(&batch, &[DataType::Fp32], 1, &Plain);
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
        let views = scratch.gather(&batch, &[DataType::Fp32], 1, &Plain);
        assert_eq!(views[0].data, [1, 2, 3, 4]);
        assert!(views[0].data.as_ptr().addr().is_multiple_of(4));
    }

    #[test]
    fn rows_come_back_to_their_requests() {
        let batch = [request(1, Bytes::from_static(&[1; 2])), request(2, Bytes::from_static(&[2; 4]))];
        let mut scratch = Scratch::default();
        let views = scratch.gather(&batch, &[DataType::Uint8], 3, &Plain);
        assert_eq!((views[0].data, &views[0].shape[..]), (&[1, 1, 2, 2, 2, 2][..], &[3, 2][..]));
        let output = Tensor { shape: views[0].shape.clone(), data: Bytes::copy_from_slice(views[0].data) };
        let shares = split(&batch, &[output], &[DataType::Uint8], 3).unwrap();
        assert_eq!(shares[0][0], batch[0].inputs[0]);
        assert_eq!(shares[1][0], batch[1].inputs[0]);
    }

    #[test]
    fn strings_are_split_by_element() {
        let batch = [request(1, Bytes::new()), request(1, Bytes::new())];
        let data = Bytes::from_static(b"\x01\0\0\0a\0\0\0\0\x02\0\0\0bc\x01\0\0\0d");
        let output = Tensor { shape: smallvec![2, 2], data };
        let shares = split(&batch, std::slice::from_ref(&output), &[DataType::Bytes], 2).unwrap();
        assert_eq!(&shares[0][0].data[..], b"\x01\0\0\0a\0\0\0\0");
        assert_eq!(&shares[1][0].data[..], b"\x02\0\0\0bc\x01\0\0\0d");
        let cut = Tensor { data: output.data.slice(..9), ..output };
        assert!(split(&batch, &[cut], &[DataType::Bytes], 2).is_err());
    }

    #[test]
    fn a_batch_is_filled_up_with_its_last_row() {
        let batch = [request(1, Bytes::from_static(&[1; 2])), request(2, Bytes::from_static(&[2, 2, 3, 4]))];
        let mut scratch = Scratch::default();
        let views = scratch.gather(&batch, &[DataType::Uint8], 5, &Plain);
        assert_eq!((views[0].data, &views[0].shape[..]), (&[1, 1, 2, 2, 3, 4, 3, 4, 3, 4][..], &[5, 2][..]));
        let output = Tensor { shape: views[0].shape.clone(), data: Bytes::copy_from_slice(views[0].data) };
        let shares = split(&batch, &[output], &[DataType::Uint8], 5).unwrap();
        assert_eq!((&shares[0][0], &shares[1][0]), (&batch[0].inputs[0], &batch[1].inputs[0]));
    }

    #[test]
    fn a_lone_request_that_is_filled_up_gets_its_own_rows() {
        let batch = [request(1, Bytes::from_static(&[7, 8]))];
        let mut scratch = Scratch::default();
        let views = scratch.gather(&batch, &[DataType::Uint8], 4, &Plain);
        assert_eq!((views[0].data, &views[0].shape[..]), (&[7, 8, 7, 8, 7, 8, 7, 8][..], &[4, 2][..]));
        let output = Tensor { shape: views[0].shape.clone(), data: Bytes::copy_from_slice(views[0].data) };
        let shares = split(&batch, &[output], &[DataType::Uint8], 4).unwrap();
        assert_eq!(shares[0][0], batch[0].inputs[0]);
        let alone = Tensor { shape: smallvec![1, 2], data: Bytes::from_static(&[7, 8]) };
        assert!(split(&batch, &[alone], &[DataType::Uint8], 4).is_err());
    }

    #[test]
    fn strings_are_filled_up_by_element() {
        let data = Bytes::from_static(b"\x01\0\0\0a\0\0\0\0\x02\0\0\0bc\x01\0\0\0d");
        let batch = [request(2, data.clone())];
        let mut scratch = Scratch::default();
        let views = scratch.gather(&batch, &[DataType::Bytes], 3, &Plain);
        assert_eq!(views[0].shape[..], [3, 2]);
        assert_eq!(views[0].data[..data.len()], data);
        assert_eq!(&views[0].data[data.len()..], b"\x02\0\0\0bc\x01\0\0\0d");
    }

    #[test]
    fn an_output_without_the_batch_is_refused() {
        let output = Tensor { shape: smallvec![1, 10], data: Bytes::from_static(&[0; 40]) };
        assert!(check_rows(std::slice::from_ref(&output), 1).is_ok());
        let error = check_rows(&[output], 2).unwrap_err();
        assert!(error.message.contains("[1, 10] for a batch of 2"), "{error}");
    }
}
