//! Shapes as a model wants them, from lists as an app writes them.
//!
//! A single value, or a list, gets dimensions of 1 in front until it has as many as the model's input: 7
//! becomes `[1]` or `[1,1]`, a list of three `[1,3]`. If that fits for all inputs, and they have as many
//! rows, it is done.
//!
//! Otherwise, where the model batches (each of its shapes begins with -1), every element of a `[*]` becomes a
//! row, and what is there once is repeated for each row. All `[*]` of a rule have to find as many elements
//! then.

use super::gather::{Dims, Mismatch};
use infermesh_wire::Shape;

/// What one input is filled with, and what the model says of it.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    pub dims: &'a Dims,
    /// Whether its outermost list, which it has, is a `[*]`.
    pub is_list: bool,
    pub wanted: &'a [i64],
}

/// The shape of an input, and how often its elements stand in it one after the other.
#[derive(Debug, PartialEq, Eq)]
pub struct Fitted {
    pub shape: Shape,
    pub copies: usize,
}

/// Fails with the index of the input that does not fit.
pub fn fit(given: &[Given<'_>]) -> Result<Vec<Fitted>, (usize, Mismatch)> {
    let as_they_are: Vec<_> = given.iter().map(|it| padded(it.dims, it.wanted)).collect();
    let is_batched = given.iter().all(|it| it.wanted.first() == Some(&-1));
    let unfit = as_they_are.iter().position(Option::is_none);
    let mut rows = as_they_are.iter().flatten().map(|shape| shape.first().copied());
    let agree = !is_batched || rows.next().is_none_or(|first| rows.all(|rows| rows == first));
    if unfit.is_none() && agree {
        let once = |shape| Fitted { shape, copies: 1 };
        return Ok(as_they_are.into_iter().flatten().map(once).collect());
    }
    let mut lists = given.iter().enumerate().filter(|(_, it)| it.is_list);
    match lists.next() {
        Some((_, first)) if is_batched => {
            let count = first.dims[0];
            if let Some((index, other)) = lists.find(|(_, it)| it.dims[0] != count) {
                let found = format!("{} elements for '[*]', and {count} in another input", other.dims[0]);
                return Err((index, Mismatch::new(found, "one row for each, so as many")));
            }
            let row = |(index, it): (usize, &Given<'_>)| in_rows(it, count).ok_or((index, it.mismatch()));
            given.iter().enumerate().map(row).collect()
        }
        _ => {
            // Without one that does not fit they have different numbers of rows; the last may be wrong as
            // well as any.
            let index = unfit.unwrap_or(given.len() - 1);
            let mismatch = given[index].mismatch();
            Err((
                index,
                if unfit.is_some() { mismatch } else { mismatch.among("as many rows as other inputs") },
            ))
        }
    }
}

/// With dimensions of 1 in front.
fn padded(dims: &[usize], wanted: &[i64]) -> Option<Shape> {
    let missing = wanted.len().checked_sub(dims.len())?;
    let shape: Shape = std::iter::repeat_n(1, missing).chain(dims.iter().map(|dim| *dim as i64)).collect();
    let fits = shape.iter().zip(wanted).all(|(dim, wanted)| *wanted == -1 || dim == wanted);
    fits.then_some(shape)
}

/// As `count` rows.
fn in_rows(given: &Given<'_>, count: usize) -> Option<Fitted> {
    let (row, copies) = if given.is_list { (&given.dims[1..], 1) } else { (&given.dims[..], count) };
    let mut shape = padded(row, &given.wanted[1..])?;
    shape.insert(0, count as i64);
    Some(Fitted { shape, copies })
}

impl Given<'_> {
    fn mismatch(&self) -> Mismatch {
        let found = match self.dims.len() {
            0 => "a single value".to_owned(),
            _ => format!("values of shape {:?}", self.dims.as_slice()),
        };
        Mismatch::new(found, format!("{:?}", self.wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `*` in front of a shape stands for a `[*]`.
    type Case<'a> = (&'a str, &'a [usize], &'a [i64]);

    /// Shapes with their copies, or which input is wrong and why.
    type Outcome = Result<Vec<(Vec<i64>, usize)>, (usize, String)>;

    fn fitted(inputs: &[Case<'_>]) -> Outcome {
        let dims: Vec<Dims> = inputs.iter().map(|(_, dims, _)| Dims::from_slice(dims)).collect();
        let inputs = inputs.iter().zip(&dims);
        let given: Vec<_> =
            inputs.map(|((kind, _, wanted), dims)| Given { dims, is_list: *kind == "*", wanted }).collect();
        let plain = |fitted: Fitted| (fitted.shape.to_vec(), fitted.copies);
        let fitted = fit(&given).map_err(|(index, mismatch)| (index, mismatch.to_string()))?;
        Ok(fitted.into_iter().map(plain).collect())
    }

    fn shape_of(dims: &[usize], wanted: &[i64]) -> Option<Vec<i64>> {
        Some(fitted(&[("", dims, wanted)]).ok()?.remove(0).0)
    }

    #[test]
    fn a_single_value_has_the_rank_that_is_wanted() {
        assert_eq!(shape_of(&[], &[]), Some(vec![]));
        assert_eq!(shape_of(&[], &[1]), Some(vec![1]));
        assert_eq!(shape_of(&[], &[-1]), Some(vec![1]));
        assert_eq!(shape_of(&[], &[-1, 1]), Some(vec![1, 1]));
        assert_eq!(shape_of(&[], &[-1, 2]), None);
    }

    #[test]
    fn a_list_is_a_row() {
        assert_eq!(shape_of(&[3], &[-1, 3]), Some(vec![1, 3]));
        assert_eq!(shape_of(&[3], &[-1, -1]), Some(vec![1, 3]));
        assert_eq!(shape_of(&[3], &[-1]), Some(vec![3]));
        assert_eq!(shape_of(&[2, 3], &[-1, 3]), Some(vec![2, 3]));
        assert_eq!(shape_of(&[3], &[-1, 4]), None);
        assert_eq!(shape_of(&[2, 3], &[-1]), None);
    }

    #[test]
    fn elements_are_rows_where_the_model_batches() {
        let rows = fitted(&[("*", &[3], &[-1, 1]), ("", &[], &[-1, 1]), ("", &[2], &[-1, 2])]);
        assert_eq!(rows, Ok(vec![(vec![3, 1], 1), (vec![3, 1], 3), (vec![3, 2], 3)]));
        assert_eq!(fitted(&[("*", &[3], &[-1]), ("", &[], &[-1])]), Ok(vec![(vec![3], 1), (vec![3], 3)]));
        let nested = fitted(&[("*", &[3, 2], &[-1, 2]), ("", &[], &[-1, 1])]);
        assert_eq!(nested, Ok(vec![(vec![3, 2], 1), (vec![3, 1], 3)]));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let counts = fitted(&[("*", &[3], &[-1, 1]), ("*", &[2], &[-1, 1])]);
        let message =
            "found 2 elements for '[*]', and 3 in another input, expected one row for each, so as many";
        assert_eq!(counts, Err((1, message.to_owned())));
        let rows = fitted(&[("", &[3, 2], &[-1, 2]), ("", &[2, 2], &[-1, 2])]);
        let message = "found values of shape [2, 2], expected [-1, 2] and as many rows as other inputs";
        assert_eq!(rows, Err((1, message.to_owned())));
        // Not batched, so the numbers of rows have nothing to do with each other.
        assert!(fitted(&[("*", &[3], &[-1]), ("", &[], &[1])]).is_ok());
        let fixed = fitted(&[("", &[], &[1]), ("*", &[3], &[4])]);
        assert_eq!(fixed, Err((1, "found values of shape [3], expected [4]".to_owned())));
        let single = fitted(&[("", &[], &[-1, 2]), ("*", &[3], &[-1, 1])]);
        assert_eq!(single, Err((0, "found a single value, expected [-1, 2]".to_owned())));
    }
}
