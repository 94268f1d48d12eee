//! What each request gets of an output whose shape follows that of a ragged input (`batch_output`).

use super::walk::Walk;
use crate::{Request, Tensor};
use bytes::Bytes;
use infermesh_wire::{DataType, Error, Shape};

#[derive(Debug, Clone)]
pub struct Share {
    /// Of the output.
    pub name: String,
    /// The position of the input whose sizes count.
    pub source: usize,
    /// As configured: an open dimension has the size that the same dimension of the source has.
    pub dims: Vec<i64>,
    /// Whether the model returns a rectangle that is cut down, as its source was padded. Otherwise it returns one share
    /// after another, end to end.
    pub is_cut: bool,
}

impl Share {
    /// Each request's own, in the order of the batch, which the model ran with `rows` rows. Slices where there is nothing
    /// to cut away.
    ///
    /// Fails with INTERNAL if the output has not the size that its source demands.
    pub fn divide(
        &self,
        batch: &[Request],
        output: &Tensor,
        datatype: DataType,
        rows: usize,
    ) -> Result<Vec<Tensor>, Error> {
        let mut walk = Walk::new(&output.data, datatype);
        let shares = batch.iter().map(|request| {
            let shape = self.wanted(request);
            let data = match self.is_cut {
                true => self.cut(output, &mut walk, &shape)?,
                false => self.next(output, &mut walk, &shape)?,
            };
            Ok(Tensor { shape, data })
        });
        let shares = shares.collect::<Result<Vec<_>, Error>>()?;
        let whole = match self.is_cut {
            true => output.shape.first() == Some(&(rows as i64)),
            false => walk.is_done(),
        };
        if whole { Ok(shares) } else { Err(self.misfit(output, batch)) }
    }

    fn wanted(&self, request: &Request) -> Shape {
        let source = &request.inputs[self.source].shape;
        let open = |position: usize| source.get(position + 1).copied().unwrap_or(1);
        let dims = self.dims.iter().enumerate();
        let sizes = dims.map(|(position, &dim)| if dim < 0 { open(position) } else { dim });
        [request.rows as i64].into_iter().chain(sizes).collect()
    }

    /// The next elements, as many as the shape has.
    fn next(&self, output: &Tensor, walk: &mut Walk<'_>, shape: &[i64]) -> Result<Bytes, Error> {
        let count =
            shape.iter().try_fold(1usize, |count, &dim| count.checked_mul(usize::try_from(dim).ok()?));
        let place = count.and_then(|count| walk.next(count));
        place.map(|place| output.data.slice(place)).ok_or_else(|| self.too_small(output, shape))
    }

    /// The next rows, each cut down to the shape.
    fn cut(&self, output: &Tensor, walk: &mut Walk<'_>, shape: &[i64]) -> Result<Bytes, Error> {
        let fits = output.shape.len() == shape.len()
            && output.shape.iter().zip(shape).all(|(&has, &wanted)| (0..=has).contains(&wanted));
        if !fits {
            return Err(self.too_small(output, shape));
        }
        if output.shape[1..] == shape[1..] {
            return self.next(output, walk, shape);
        }
        let sizes = |dims: &[i64]| dims.iter().map(|&dim| dim as usize).collect::<Vec<_>>();
        let (has, wanted) = (sizes(&output.shape[1..]), sizes(&shape[1..]));
        let mut data = Vec::new();
        for _ in 0..shape[0] {
            keep(&output.data, walk, &has, &wanted, &mut data)
                .ok_or_else(|| self.too_small(output, shape))?;
        }
        Ok(data.into())
    }

    fn too_small(&self, output: &Tensor, shape: &[i64]) -> Error {
        Error::internal(format!(
            "output '{}' of the model has shape {:?}, which is too small for a request's {shape:?} \
             (batch_output: its open dimensions follow those of a ragged input)",
            self.name,
            &output.shape[..]
        ))
    }

    fn misfit(&self, output: &Tensor, batch: &[Request]) -> Error {
        let shapes: Vec<_> = batch.iter().map(|request| self.wanted(request).to_vec()).collect();
        Error::internal(format!(
            "output '{}' of the model has shape {:?}, expected what requests of {shapes:?} take",
            self.name,
            &output.shape[..]
        ))
    }
}

/// Copies the wanted part of a block of such dimensions, and passes over the rest; `None` if the elements run out.
fn keep(data: &[u8], walk: &mut Walk<'_>, has: &[usize], wanted: &[usize], out: &mut Vec<u8>) -> Option<()> {
    let (Some((&has, inner)), Some((&wanted, inner_wanted))) = (has.split_first(), wanted.split_first())
    else {
        return None;
    };
    if inner.is_empty() {
        out.extend_from_slice(&data[walk.next(wanted)?]);
    } else {
        (0..wanted).try_for_each(|_| keep(data, walk, inner, inner_wanted, out))?;
    }
    walk.next((has - wanted) * inner.iter().product::<usize>()).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mailbox;
    use smallvec::smallvec;
    use std::time::Instant;

    fn batch(shapes: &[&[i64]]) -> Vec<Request> {
        let request = |shape: &&[i64]| {
            let tensor = Tensor { shape: (*shape).into(), data: Bytes::new() };
            Request::new(smallvec![tensor], shape[0] as usize, Instant::now(), Mailbox::for_this_thread()).0
        };
        shapes.iter().map(request).collect()
    }

    fn share(dims: &[i64], is_cut: bool) -> Share {
        Share { name: "y".into(), source: 0, dims: dims.into(), is_cut }
    }

    fn output(shape: &[i64], data: &[u8]) -> Tensor {
        Tensor { shape: shape.into(), data: Bytes::copy_from_slice(data) }
    }

    fn divided(share: &Share, batch: &[Request], output: &Tensor, rows: usize) -> Vec<(Vec<i64>, Vec<u8>)> {
        let shares = share.divide(batch, output, DataType::Uint8, rows).unwrap();
        shares.into_iter().map(|share| (share.shape.to_vec(), share.data.to_vec())).collect()
    }

    #[test]
    fn shares_lie_end_to_end() {
        let batch = batch(&[&[1, 2], &[2, 1]]);
        let found = divided(&share(&[-1], false), &batch, &output(&[4], &[1, 2, 3, 4]), 3);
        assert_eq!(found, [(vec![1, 2], vec![1, 2]), (vec![2, 1], vec![3, 4])]);
        for wrong in [&[0; 3][..], &[0; 5]] {
            let wrong = output(&[wrong.len() as i64], wrong);
            let error = share(&[-1], false).divide(&batch, &wrong, DataType::Uint8, 3).unwrap_err();
            assert!(error.message.starts_with("output 'y' of the model has shape"), "{error}");
        }
    }

    #[test]
    fn padding_is_cut_away() {
        let batch = batch(&[&[1, 1], &[2, 2]]);
        let returned = output(&[4, 2, 2], &[1, 2, 0, 0, 3, 4, 5, 6, 7, 8, 9, 10, 7, 8, 9, 10]);
        let found = divided(&share(&[-1, 2], true), &batch, &returned, 4);
        let second = (vec![2, 2, 2], vec![3, 4, 5, 6, 7, 8, 9, 10]);
        assert_eq!(found, [(vec![1, 1, 2], vec![1, 2]), second]);
    }

    #[test]
    fn an_output_that_does_not_follow_is_an_error() {
        let batch = batch(&[&[1, 1], &[1, 4]]);
        for (shape, rows) in [(&[2, 3][..], 2), (&[3, 4], 2), (&[2], 2), (&[2, 4, 1], 2)] {
            let returned = output(shape, &vec![0; shape.iter().product::<i64>() as usize]);
            assert!(
                share(&[-1], true).divide(&batch, &returned, DataType::Uint8, rows).is_err(),
                "{shape:?}"
            );
        }
    }

    #[test]
    fn strings_are_cut_by_element() {
        let batch = batch(&[&[1, 1], &[1, 2]]);
        let data = b"\x01\0\0\0a\x03\0\0\0pad\0\0\0\0\x01\0\0\0b";
        let shares = share(&[-1], true).divide(&batch, &output(&[2, 2], data), DataType::Bytes, 2).unwrap();
        assert_eq!((&shares[0].data[..], &shares[1].data[..]), (&data[..5], &data[12..]));
    }
}
