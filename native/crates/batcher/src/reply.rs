//! Where the answer to a request goes, or its answers.

use crate::{Claim, Outcome, Tensor, Timing};
use infermesh_wire::Error;
use smallvec::SmallVec;
use std::sync::{Arc, OnceLock};
use tokio::sync::{mpsc, oneshot};

/// Answers of one request that may wait for their reader; then the model waits.
pub const WINDOW: usize = 16;

/// One answer of a request that may have any number of them, outputs in the order of the model's signature; `None` is
/// its end.
pub type Part = Result<Option<SmallVec<[Tensor; 2]>>, Error>;

/// Whoever holds the other end and drops it has given the request up.
#[derive(Debug)]
pub enum Reply {
    /// Of a model that answers each request once.
    One(oneshot::Sender<Outcome>),
    /// Of a decoupled model.
    Many(Many),
    /// Nobody asked: a row that only keeps others in their places.
    Nobody,
}

#[derive(Debug)]
pub struct Many {
    pub parts: mpsc::Sender<Part>,
    /// Whoever takes it counts what became of the request: the batcher at its end, or the reader that gives it up.
    pub count: Claim,
    /// Known when the end has been sent, unless it is an error.
    pub timing: Arc<OnceLock<Timing>>,
}

impl Reply {
    /// Whether nobody waits any more.
    pub fn is_closed(&self) -> bool {
        match self {
            Self::One(reply) => reply.is_closed(),
            Self::Many(reply) => reply.parts.is_closed(),
            Self::Nobody => true,
        }
    }

    /// Whether the batcher is the one to count that it refuses the request. To be asked once.
    pub(crate) fn is_to_be_counted(&self) -> bool {
        match self {
            // Whoever gave up meanwhile has counted that himself.
            Self::One(reply) => !reply.is_closed(),
            Self::Many(reply) => reply.count.take(),
            Self::Nobody => false,
        }
    }

    /// The one answer of a request, or what went wrong with it. Where the receiver has given up, nobody wants it.
    pub(crate) fn end(self, outcome: Outcome) {
        match self {
            Self::One(reply) => drop(reply.send(outcome)),
            Self::Many(reply) => drop(reply.parts.try_send(outcome.map(|answer| Some(answer.outputs)))),
            Self::Nobody => {}
        }
    }
}
