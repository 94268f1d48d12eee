//! One call for several requests of one model: side by side along the first dimension there, row by row back.
//!
//! A request becomes a `Share` if it may have company. Shares with the same key make one call (`merge`),
//! whose answer is divided again (`Division`). That the model batches, and up to how many rows, is for the
//! caller to know. An error that answers the call may be the fault of one of the requests: who wants to know
//! whose asks for each alone.

mod division;
mod key;
mod share;

pub use division::Division;
pub use key::Key;
pub use share::Share;

use bytes::Bytes;
use infermesh_wire::{request_writer, response::Pieces};
use std::{borrow::Cow, fmt};

/// Why a request cannot share a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alone(Cow<'static, str>);

impl Alone {
    fn because(why: impl Into<Cow<'static, str>>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for Alone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Alone {}

/// The length-prefixed `ModelInferRequest` of all shares, in their order and without an id, and how to divide
/// the answer. Large tensors are the pieces that the shares have.
///
/// Fails if the keys are not the same, saying what differs.
pub fn merge(shares: &[Share]) -> Result<(Pieces, Division), Alone> {
    let [first, others @ ..] = shares else { return Err(Alone::because("there is no request")) };
    if let Some(other) = others.iter().find(|other| other.key != first.key) {
        return Err(first.key.difference(&other.key));
    }
    let rows: usize = shares.iter().map(|share| share.rows).sum();
    let mut request = first.key.request()?;
    for input in &mut request.inputs {
        input.shape.insert(0, rows as i64);
    }
    let tensors: Vec<Vec<Bytes>> = (0..request.inputs.len())
        .map(|input| shares.iter().map(|share| share.tensors[input].clone()).collect())
        .collect();
    let callers = shares.iter().map(|share| (share.id.clone(), share.rows));
    Ok((request_writer::write(&request, &tensors), Division::new(callers.collect(), rows)))
}

#[cfg(test)]
mod tests;
