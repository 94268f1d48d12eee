//! Takes a batch's outputs apart again.

use crate::{Request, Tensor, ragged::Plan};
use infermesh_wire::{DataType, Error, rows::RowEnds};
use smallvec::SmallVec;

/// Each request's own rows, in the order of the batch; slices of the outputs, not copies. Rows behind them, with which
/// the batch was filled up, belong to nobody. Outputs whose shape follows a ragged input are divided as that says.
///
/// Fails with INTERNAL if an output does not have one row per row of the batch, or not the size that its source demands.
pub fn split(
    batch: &[Request],
    outputs: &[Tensor],
    datatypes: &[DataType],
    ragged: Option<&Plan>,
    rows: usize,
) -> Result<Vec<SmallVec<[Tensor; 2]>>, Error> {
    if let [lone] = batch
        && lone.rows == rows
        && ragged.is_none()
    {
        return Ok(vec![outputs.iter().cloned().collect()]);
    }
    let mut shares: Vec<SmallVec<[Tensor; 2]>> = batch.iter().map(|_| SmallVec::new()).collect();
    for (index, (output, datatype)) in outputs.iter().zip(datatypes).enumerate() {
        if let Some(share) = ragged.and_then(|plan| plan.share(index)) {
            let divided = share.divide(batch, output, *datatype, rows)?;
            shares.iter_mut().zip(divided).for_each(|(share, tensor)| share.push(tensor));
            continue;
        }
        check_rows(index, output, rows)?;
        let ends = row_ends(output, *datatype)?;
        let mut row = 0;
        for (request, share) in batch.iter().zip(&mut shares) {
            let bytes = ends.bytes(row..row + request.rows);
            row += request.rows;
            let mut shape = output.shape.clone();
            shape[0] = request.rows as i64;
            share.push(Tensor { shape, data: output.data.slice(bytes) });
        }
    }
    Ok(shares)
}

/// Fails with INTERNAL unless the output's first dimension is `rows`.
fn check_rows(index: usize, output: &Tensor, rows: usize) -> Result<(), Error> {
    if output.shape.first() == Some(&(rows as i64)) {
        return Ok(());
    }
    Err(Error::internal(format!(
        "output {index} of the model has shape {:?} for a batch of {rows}: its first dimension must be the batch",
        &output.shape[..]
    )))
}

fn row_ends(output: &Tensor, datatype: DataType) -> Result<RowEnds, Error> {
    let cut = || Error::internal("the model returned fewer BYTES elements than its shape says");
    RowEnds::of(datatype, &output.shape, &output.data).ok_or_else(cut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mailbox;
    use bytes::Bytes;
    use smallvec::smallvec;
    use std::time::Instant;

    fn request(rows: usize, data: Bytes) -> Request {
        let inputs = smallvec![Tensor { shape: smallvec![rows as i64, 2], data }];
        Request::new(inputs, rows, Instant::now(), Mailbox::for_this_thread()).0
    }

    #[test]
    fn strings_are_split_by_element() {
        let batch = [request(1, Bytes::new()), request(1, Bytes::new())];
        let data = Bytes::from_static(b"\x01\0\0\0a\0\0\0\0\x02\0\0\0bc\x01\0\0\0d");
        let output = Tensor { shape: smallvec![2, 2], data };
        let shares = split(&batch, std::slice::from_ref(&output), &[DataType::Bytes], None, 2).unwrap();
        assert_eq!(&shares[0][0].data[..], b"\x01\0\0\0a\0\0\0\0");
        assert_eq!(&shares[1][0].data[..], b"\x02\0\0\0bc\x01\0\0\0d");
        let cut = Tensor { data: output.data.slice(..9), ..output };
        assert!(split(&batch, &[cut], &[DataType::Bytes], None, 2).is_err());
    }

    #[test]
    fn an_output_without_the_batch_is_refused() {
        let output = Tensor { shape: smallvec![1, 10], data: Bytes::from_static(&[0; 40]) };
        assert!(check_rows(0, &output, 1).is_ok());
        let error = check_rows(0, &output, 2).unwrap_err();
        assert!(error.message.contains("[1, 10] for a batch of 2"), "{error}");
    }
}
