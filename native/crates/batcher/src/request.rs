//! A request while it is in the batcher's hands.

use crate::{Mailbox, Reply, Tensor, TraceIds, ragged::Ragged, sequence::Turn, stats::Phases};
use infermesh_wire::Error;
use smallvec::SmallVec;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};
use tokio::sync::oneshot;

/// One caller's share of a batch: outputs in the order of the model's signature.
#[derive(Debug)]
pub struct Answer {
    pub outputs: SmallVec<[Tensor; 2]>,
    pub timing: Timing,
}

/// When the batch of an answer ran, and what else was in it.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    pub started: Instant,
    pub phases: Phases,
    /// Of the whole batch.
    pub rows: usize,
    pub requests: usize,
}

pub type Outcome = Result<Answer, Error>;

/// A validated request. Whoever holds the receiving end of `reply` and drops it has given the request up.
#[derive(Debug)]
pub struct Request {
    /// In the order of the model's signature.
    pub inputs: SmallVec<[Tensor; 2]>,
    /// Size of the first dimension, 1 where the model does not batch.
    pub rows: usize,
    /// Of priority, 0 first.
    pub level: usize,
    /// Not executed after this moment.
    pub deadline: Option<Instant>,
    pub enqueued: Instant,
    /// When it has waited too long for an instance.
    pub expiry: Option<Expiry>,
    /// From then on it stands behind everything of its level that is in time.
    pub late_at: Option<Instant>,
    /// It runs whatever is predicted, so that predictions are checked.
    pub probe: bool,
    pub reply: Reply,
    /// Of the thread that awaits the reply.
    pub mailbox: Arc<Mailbox>,
    /// Of a model that serves sequences.
    pub turn: Option<Box<Turn>>,
    /// Where the request is traced.
    pub trace: Option<TraceIds>,
}

/// The end of a request's patience with the queue. Whoever claims it first decides: the queue, which runs the
/// request, or the one who waits, who refuses it.
#[derive(Debug, Clone)]
pub struct Expiry {
    pub at: Instant,
    claim: Claim,
}

/// What only one of several holders may do.
#[derive(Debug, Clone, Default)]
pub struct Claim(Arc<AtomicBool>);

impl Claim {
    /// True for the first caller only.
    pub fn take(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}

impl Expiry {
    pub fn new(at: Instant) -> Self {
        Self { at, claim: Claim::default() }
    }

    /// True for the first caller only.
    pub fn claim(&self) -> bool {
        self.claim.take()
    }
}

impl Request {
    /// A request of the first level that waits for as long as it takes, and the receiving end of its reply.
    pub fn new(
        inputs: SmallVec<[Tensor; 2]>,
        rows: usize,
        enqueued: Instant,
        mailbox: Arc<Mailbox>,
    ) -> (Self, oneshot::Receiver<Outcome>) {
        let (reply, caller) = oneshot::channel();
        (Self::answering(Reply::One(reply), inputs, rows, enqueued, mailbox), caller)
    }

    /// A request of the first level that waits for as long as it takes, whose answers go where `reply` says.
    pub fn answering(
        reply: Reply,
        inputs: SmallVec<[Tensor; 2]>,
        rows: usize,
        enqueued: Instant,
        mailbox: Arc<Mailbox>,
    ) -> Self {
        Self {
            inputs,
            rows,
            level: 0,
            deadline: None,
            enqueued,
            expiry: None,
            late_at: None,
            probe: false,
            reply,
            mailbox,
            turn: None,
            trace: None,
        }
    }

    /// Whether nobody waits for the answer any more.
    pub fn is_abandoned(&self, now: Instant) -> bool {
        self.reply.is_closed()
            || self.deadline.is_some_and(|deadline| deadline <= now)
            || self.expiry.as_ref().is_some_and(|expiry| expiry.at <= now)
    }

    /// Whether it may run; from then on it does not expire.
    pub(crate) fn claim(&self) -> bool {
        self.expiry.as_ref().is_none_or(Expiry::claim)
    }

    /// Whether both may share a batch: the same inputs are there, and all dimensions but the first are equal except
    /// where an input is ragged.
    pub fn stacks_with(&self, other: &Request, ragged: &Ragged) -> bool {
        self.inputs.iter().zip(&other.inputs).enumerate().all(|(input, (mine, theirs))| {
            mine.shape.get(1..) == theirs.shape.get(1..)
                || (ragged.includes(input) && !mine.is_absent() && !theirs.is_absent())
        })
    }
}
