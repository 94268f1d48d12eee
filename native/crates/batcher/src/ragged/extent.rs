//! How large padding makes a batch while it is formed. One long request among many short ones, or requests that are
//! long in different dimensions, would multiply what callers sent.

use crate::Request;
use infermesh_wire::Shape;
use smallvec::SmallVec;

/// Bytes of padding in one input of a batch.
const MOST: i64 = 64 << 20;

/// The requests of a batch so far, by their padded inputs.
#[derive(Debug)]
pub struct Extent(SmallVec<[Side; 2]>);

#[derive(Debug, Clone)]
struct Side {
    input: usize,
    /// At least.
    bytes_per_element: usize,
    /// The largest, without the first.
    dims: Shape,
    /// Of the requests themselves.
    elements: i64,
}

impl Extent {
    /// Of a batch of one; `None` where nothing is padded. `inputs` are given with the bytes of an element.
    pub(super) fn of(inputs: impl Iterator<Item = (usize, usize)>, first: &Request) -> Option<Self> {
        let sides: SmallVec<_> = inputs
            .map(|(input, bytes_per_element)| {
                let shape = &first.inputs[input].shape;
                Side { input, bytes_per_element, dims: dims(shape).into(), elements: count(shape) }
            })
            .collect();
        (!sides.is_empty()).then_some(Self(sides))
    }

    /// Whether a request may join, which makes `rows` in all; if so it counts from now on.
    pub fn admit(&mut self, request: &Request, rows: usize) -> bool {
        let grown: SmallVec<[Side; 2]> =
            self.0.iter().map(|side| side.with(&request.inputs[side.input].shape)).collect();
        let fits = grown.iter().all(|side| side.padding(rows) <= MOST);
        if fits {
            self.0 = grown;
        }
        fits
    }
}

impl Side {
    fn with(&self, shape: &[i64]) -> Self {
        let larger = self.dims.iter().zip(dims(shape)).map(|(mine, theirs)| *mine.max(theirs));
        Self { dims: larger.collect(), elements: self.elements.saturating_add(count(shape)), ..*self }
    }

    fn padding(&self, rows: usize) -> i64 {
        let padded = count(&self.dims).saturating_mul(rows as i64);
        padded.saturating_sub(self.elements).saturating_mul(self.bytes_per_element as i64)
    }
}

/// Without the batch dimension; of an input that is absent, none.
fn dims(shape: &[i64]) -> &[i64] {
    shape.get(1..).unwrap_or_default()
}

fn count(shape: &[i64]) -> i64 {
    shape.iter().fold(1i64, |product, &dim| product.saturating_mul(dim))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Mailbox, Tensor};
    use smallvec::smallvec;
    use std::time::Instant;

    fn request(shape: &[i64]) -> Request {
        let tensor = Tensor { shape: shape.into(), data: Default::default() };
        Request::new(smallvec![tensor], shape[0] as usize, Instant::now(), Mailbox::for_this_thread()).0
    }

    fn extent(shape: &[i64]) -> Extent {
        Extent::of([(0, 8)].into_iter(), &request(shape)).unwrap()
    }

    #[test]
    fn padding_is_bounded_and_what_needs_none_is_not() {
        let mib = 1 << 20;
        let mut extent = extent(&[1, 5 * mib]);
        // 40 MiB of padding, then 80.
        assert!(extent.admit(&request(&[1, 1]), 2));
        assert!(!extent.admit(&request(&[1, 1]), 3));
        assert!(extent.admit(&request(&[1, 5 * mib]), 3));
    }

    #[test]
    fn dimensions_multiply() {
        let mut extent = extent(&[1, 1, 100_000]);
        assert!(!extent.admit(&request(&[1, 100_000, 1]), 2));
        assert!(extent.admit(&request(&[1, 1, 1]), 2));
    }

    #[test]
    fn there_is_none_where_nothing_is_padded() {
        assert!(Extent::of(std::iter::empty(), &request(&[1, 1])).is_none());
    }
}
