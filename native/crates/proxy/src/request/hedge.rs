//! A second attempt beside the first, which is slow: the faster one's answer counts, the other is given up.

use super::forward::{Attempts, Outcome};
use crate::upstream::endpoint::Ticket;
use futures_util::future::{Either, select};
use infermesh_policy::hedge::Hedge;
use std::{
    pin::pin,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::time::timeout;

/// Of one route, shared by the network threads.
pub struct Hedges(Mutex<Hedge>);

impl Hedges {
    pub fn new(hedge: Hedge) -> Self {
        Self(Mutex::new(hedge))
    }

    pub fn with<T>(&self, look: impl FnOnce(&mut Hedge) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The attempt that counts.
pub struct Winner {
    pub ticket: Ticket,
    pub outcome: Outcome,
    /// Where the other one has failed.
    pub also_tried: Option<u64>,
    pub hedged: bool,
}

/// Waits for the first attempt; after `delay` for a second one, too, at another endpoint, if the budget has one, the request
/// has been received whole, and asking twice is as good as once. One that fails has not lost: the other may do better.
pub async fn race(attempts: &Attempts<'_>, ticket: Ticket, begun: Instant, delay: Duration) -> Winner {
    let asked = ticket.endpoint.id;
    let alone = |(ticket, outcome)| Winner { ticket, outcome, also_tried: None, hedged: false };
    let mut first = pin!(attempts.try_at(ticket, begun));
    if let Ok(ended) = timeout(delay, first.as_mut()).await {
        return alone(ended);
    }
    let Some(other) = attempts.second(asked) else { return alone(first.await) };
    let second = pin!(attempts.try_at(other, Instant::now()));
    let ((ticket, outcome), other) = match select(first, second).await {
        Either::Left(ended) | Either::Right(ended) => ended,
    };
    let Some(event) = outcome.event.filter(|_| !outcome.stands()) else {
        return Winner { ticket, outcome, also_tried: None, hedged: true };
    };
    let failed = ticket.endpoint.id;
    ticket.finish(event, Instant::now());
    let (ticket, outcome) = other.await;
    Winner { ticket, outcome, also_tried: Some(failed), hedged: true }
}
