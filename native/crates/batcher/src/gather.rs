//! Puts requests' tensors together for a backend.

use crate::{
    Backend, Request, Tensor, TensorView,
    backend::Memory,
    ragged::{BatchInput, Pad, Plan, Way, largest},
};
use bytes::Bytes;
use infermesh_wire::{DataType, datatype::elements};
use smallvec::smallvec;

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
        ragged: Option<&Plan>,
        rows: usize,
        backend: &dyn Backend,
    ) -> Vec<TensorView<'a>> {
        let surplus = rows - batch.iter().map(|request| request.rows).sum::<usize>();
        self.buffers.resize_with(datatypes.len(), || Box::new(Words(Vec::new())));
        self.buffers
            .iter_mut()
            .zip(datatypes)
            .enumerate()
            .map(|(input, (buffer, &datatype))| {
                let column = Column { batch, input, datatype, rows, surplus };
                let place = Place { buffer, backend };
                match ragged.map(|plan| plan.way(input)) {
                    None | Some(Way::Stack) => column.stack(place),
                    Some(Way::EndToEnd) => column.end_to_end(place),
                    Some(Way::Pad(padding)) => column.pad(padding, place),
                    Some(Way::Make(made)) => column.make(made, place),
                }
            })
            .collect()
    }
}

/// What a batch has in one input.
#[derive(Clone, Copy)]
struct Column<'a> {
    batch: &'a [Request],
    input: usize,
    datatype: DataType,
    rows: usize,
    /// Rows that nobody sent.
    surplus: usize,
}

impl<'a> Column<'a> {
    /// Row by row.
    fn stack(self, place: Place<'a, '_>) -> TensorView<'a> {
        let Self { batch, input, datatype, rows, surplus } = self;
        let mut shape = batch[0].inputs[input].shape.clone();
        if let [lone] = batch
            && surplus == 0
            && is_aligned(&lone.inputs[input].data, datatype)
        {
            return TensorView { shape, data: &lone.inputs[input].data };
        }
        let filler = if surplus > 0 { last_row(batch, input, datatype) } else { &[] };
        let own: usize = batch.iter().map(|request| request.inputs[input].data.len()).sum();
        if batch.len() > 1 || surplus > 0 {
            // An input that is absent has no shape, and nothing to copy.
            shape.first_mut().into_iter().for_each(|first| *first = rows as i64);
        }
        let copied = place.of(own + filler.len() * surplus);
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
    }

    /// One request after another, without their shapes.
    fn end_to_end(self, place: Place<'a, '_>) -> TensorView<'a> {
        let stacked = self.stack(place);
        if stacked.is_absent() {
            return stacked;
        }
        let counts =
            self.batch.iter().map(|request| request.inputs[self.input].shape.iter().product::<i64>());
        TensorView { shape: smallvec![counts.sum()], ..stacked }
    }

    /// Row by row, each as large as the largest.
    fn pad(self, padding: &[u8], place: Place<'a, '_>) -> TensorView<'a> {
        let Self { batch, input, datatype, rows, .. } = self;
        let Some(shape) = largest(batch, input, rows) else { return self.stack(place) };
        let pad = Pad { batch, input, datatype, shape: &shape, padding };
        let data = place.of(pad.bytes());
        pad.write(data);
        TensorView { shape, data }
    }

    /// From the shapes of another input.
    fn make(self, made: &BatchInput, place: Place<'a, '_>) -> TensorView<'a> {
        let (shape, values) = made.of_batch(self.batch, self.surplus);
        let data = place.of(values.len());
        data.copy_from_slice(&values);
        TensorView { shape, data }
    }
}

/// The bytes of the batch's last row.
pub(crate) fn last_row(batch: &[Request], input: usize, datatype: DataType) -> &[u8] {
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

/// Where one input is put together.
struct Place<'a, 'b> {
    buffer: &'a mut Box<dyn Memory>,
    backend: &'b dyn Backend,
}

impl<'a> Place<'a, '_> {
    /// The first `size` bytes, in larger memory if need be.
    fn of(self, size: usize) -> &'a mut [u8] {
        if self.buffer.bytes().len() < size {
            let words = || Box::new(Words(vec![0; size.div_ceil(size_of::<u128>())]));
            *self.buffer = self.backend.memory(size).unwrap_or_else(|| words());
        }
        &mut self.buffer.bytes()[..size]
    }
}

/// Ordinary memory.
struct Words(Vec<u128>);

impl Memory for Words {
    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the words are initialised, u8 has no alignment, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), size_of_val(&self.0[..])) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Mailbox, split::split};
    use infermesh_wire::Error;
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
        let first = scratch.gather(&batch, &[DataType::Uint8], None, 2, &Own)[0].data.as_ptr();
        let views = scratch.gather(&batch, &[DataType::Uint8], None, 2, &Own);
        assert_eq!((views[0].data, views[0].data.as_ptr()), (&[1, 1, 2, 2][..], first));
        // So that it is known to be that memory.
        assert_eq!(scratch.buffers[0].bytes()[4..6], [255, 255]);
    }

    #[test]
    fn a_lone_aligned_request_is_not_copied() {
        let batch = [request(1, Bytes::from_owner(AlignedBytes([7; 8])))];
        let mut scratch = Scratch::default();
        let views = scratch.gather(&batch, &[DataType::Fp32], None, 1, &Plain);
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
        let views = scratch.gather(&batch, &[DataType::Fp32], None, 1, &Plain);
        assert_eq!(views[0].data, [1, 2, 3, 4]);
        assert!(views[0].data.as_ptr().addr().is_multiple_of(4));
    }

    #[test]
    fn rows_come_back_to_their_requests() {
        let batch = [request(1, Bytes::from_static(&[1; 2])), request(2, Bytes::from_static(&[2; 4]))];
        let mut scratch = Scratch::default();
        let views = scratch.gather(&batch, &[DataType::Uint8], None, 3, &Plain);
        assert_eq!((views[0].data, &views[0].shape[..]), (&[1, 1, 2, 2, 2, 2][..], &[3, 2][..]));
        let output = Tensor { shape: views[0].shape.clone(), data: Bytes::copy_from_slice(views[0].data) };
        let shares = split(&batch, &[output], &[DataType::Uint8], None, 3).unwrap();
        assert_eq!(shares[0][0], batch[0].inputs[0]);
        assert_eq!(shares[1][0], batch[1].inputs[0]);
    }

    #[test]
    fn a_batch_is_filled_up_with_its_last_row() {
        let batch = [request(1, Bytes::from_static(&[1; 2])), request(2, Bytes::from_static(&[2, 2, 3, 4]))];
        let mut scratch = Scratch::default();
        let views = scratch.gather(&batch, &[DataType::Uint8], None, 5, &Plain);
        assert_eq!((views[0].data, &views[0].shape[..]), (&[1, 1, 2, 2, 3, 4, 3, 4, 3, 4][..], &[5, 2][..]));
        let output = Tensor { shape: views[0].shape.clone(), data: Bytes::copy_from_slice(views[0].data) };
        let shares = split(&batch, &[output], &[DataType::Uint8], None, 5).unwrap();
        assert_eq!((&shares[0][0], &shares[1][0]), (&batch[0].inputs[0], &batch[1].inputs[0]));
    }

    #[test]
    fn a_lone_request_that_is_filled_up_gets_its_own_rows() {
        let batch = [request(1, Bytes::from_static(&[7, 8]))];
        let mut scratch = Scratch::default();
        let views = scratch.gather(&batch, &[DataType::Uint8], None, 4, &Plain);
        assert_eq!((views[0].data, &views[0].shape[..]), (&[7, 8, 7, 8, 7, 8, 7, 8][..], &[4, 2][..]));
        let output = Tensor { shape: views[0].shape.clone(), data: Bytes::copy_from_slice(views[0].data) };
        let shares = split(&batch, &[output], &[DataType::Uint8], None, 4).unwrap();
        assert_eq!(shares[0][0], batch[0].inputs[0]);
        let alone = Tensor { shape: smallvec![1, 2], data: Bytes::from_static(&[7, 8]) };
        assert!(split(&batch, &[alone], &[DataType::Uint8], None, 4).is_err());
    }

    #[test]
    fn strings_are_filled_up_by_element() {
        let data = Bytes::from_static(b"\x01\0\0\0a\0\0\0\0\x02\0\0\0bc\x01\0\0\0d");
        let batch = [request(2, data.clone())];
        let mut scratch = Scratch::default();
        let views = scratch.gather(&batch, &[DataType::Bytes], None, 3, &Plain);
        assert_eq!(views[0].shape[..], [3, 2]);
        assert_eq!(views[0].data[..data.len()], data);
        assert_eq!(&views[0].data[data.len()..], b"\x02\0\0\0bc\x01\0\0\0d");
    }

    fn ragged(padding: Option<&str>) -> Plan {
        use infermesh_wire::proto::inference::{self as pb, ModelConfig, ModelInput, ModelParameter};
        let parameter =
            |value: &str| ("ragged_padding".to_owned(), ModelParameter { string_value: value.into() });
        let input = ModelInput {
            name: "x".into(),
            data_type: pb::DataType::TypeUint8 as i32,
            dims: vec![-1],
            allow_ragged_batch: true,
            ..Default::default()
        };
        let made = pb::BatchInput {
            target_name: vec!["count".into()],
            data_type: pb::DataType::TypeInt32 as i32,
            source_input: vec!["x".into()],
            ..Default::default()
        };
        let config = ModelConfig {
            max_batch_size: 8,
            input: vec![input],
            batch_input: vec![made],
            parameters: padding.map(parameter).into_iter().collect(),
            ..Default::default()
        };
        Plan::from_config(&config).unwrap().unwrap()
    }

    fn wide(rows: usize, width: usize, data: &'static [u8]) -> Request {
        let shape = smallvec![rows as i64, width as i64];
        let inputs = smallvec![Tensor { shape, data: Bytes::from_static(data) }];
        Request::new(inputs, rows, Instant::now(), Mailbox::for_this_thread()).0
    }

    #[test]
    fn ragged_requests_lie_end_to_end_and_are_counted() {
        let batch = [wide(1, 3, &[1, 2, 3]), wide(2, 1, &[4, 5])];
        let mut scratch = Scratch::default();
        let types = [DataType::Uint8, DataType::Int32];
        let views = scratch.gather(&batch, &types, Some(&ragged(None)), 3, &Plain);
        assert_eq!((views[0].data, &views[0].shape[..]), (&[1, 2, 3, 4, 5][..], &[5][..]));
        assert_eq!((views[1].data, &views[1].shape[..]), (&[3, 0, 0, 0, 2, 0, 0, 0][..], &[2][..]));
        let lone = scratch.gather(&batch[1..], &types, Some(&ragged(None)), 2, &Plain);
        assert_eq!((lone[0].data.as_ptr(), &lone[0].shape[..]), (batch[1].inputs[0].data.as_ptr(), &[2][..]));
    }

    #[test]
    fn ragged_requests_are_padded_where_that_is_asked_for() {
        let batch = [wide(1, 3, &[1, 2, 3]), wide(2, 1, &[4, 5])];
        let mut scratch = Scratch::default();
        let types = [DataType::Uint8, DataType::Int32];
        let views = scratch.gather(&batch, &types, Some(&ragged(Some("9"))), 4, &Plain);
        let expected = [1, 2, 3, 4, 9, 9, 5, 9, 9, 5, 9, 9];
        assert_eq!((views[0].data, &views[0].shape[..]), (&expected[..], &[4, 3][..]));
        assert_eq!(views[1].shape[..], [2]);
    }

    #[test]
    fn what_is_absent_stays_absent() {
        let absent = || {
            let inputs = smallvec![Tensor::absent()];
            Request::new(inputs, 1, Instant::now(), Mailbox::for_this_thread()).0
        };
        for datatype in [DataType::Fp32, DataType::Bytes] {
            for (batch, rows) in [(vec![absent()], 1), (vec![absent(), absent()], 2), (vec![absent()], 4)] {
                assert!(Scratch::default().gather(&batch, &[datatype], None, rows, &Plain)[0].is_absent());
            }
        }
    }
}
