//! One of the requests that wait for their turn.

use super::{Called, Fate, Line, Place};
use crate::limit::refusal::Refusal;
use infermesh_policy::{Deadline, queue::Ticket};
use std::{sync::Arc, time::Instant};
use tokio::{sync::oneshot, time::sleep_until};

/// Dropped, it has left.
pub struct Waiting {
    pub(super) line: Arc<Line>,
    pub(super) ticket: Ticket,
    pub(super) called: oneshot::Receiver<Called>,
    pub(super) deadline: Deadline,
    /// No longer than that.
    pub(super) until: Instant,
}

impl Waiting {
    pub async fn turn(mut self) -> Result<Place, Refusal> {
        let called = tokio::select! {
            biased;
            called = &mut self.called => called,
            () = sleep_until(self.until.into()) => {
                let left = self.line.leave(self.ticket);
                // If somebody calls it at this very moment, it has not.
                if left { Ok(Err(Fate::Expired)) } else { (&mut self.called).await }
            }
        };
        called.unwrap_or(Err(Fate::Expired)).map_err(|fate| {
            let crowd = self.line.crowd();
            match fate {
                Fate::Displaced => Refusal::Displaced(crowd),
                Fate::Expired if self.deadline.at() == Some(self.until) => Refusal::Late(crowd),
                Fate::Expired => Refusal::Expired(crowd),
            }
        })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.line.leave(self.ticket);
    }
}
