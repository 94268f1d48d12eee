//! A second attempt beside the first, which is slow: the faster one's answer counts, the other is given up.

use super::forward::{Attempts, Outcome};
use crate::upstream::endpoint::Ticket;
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

/// Whose answer counts.
pub struct Winner {
    pub ticket: Ticket,
    pub outcome: Outcome,
    /// The endpoint that was asked beside it and has failed, too.
    pub also_tried: Option<u64>,
    pub hedged: bool,
}

/// Which of them have ended: one that is good, or both.
enum Ended {
    First(Outcome),
    Second(Outcome),
    Both(Outcome, Outcome),
}

enum Won {
    First { outcome: Outcome, hedged: bool, also_tried: Option<u64> },
    Second(Ticket, Outcome),
}

/// Waits for the first attempt; after `delay` for a second one, too, at another endpoint, if the budget has one, the request
/// has been received whole, and asking twice is as good as once.
pub async fn race(attempts: &Attempts<'_>, ticket: Ticket, begun: Instant, delay: Duration) -> Winner {
    let won = {
        let mut first = pin!(attempts.attempt(&ticket, begun));
        match timeout(delay, first.as_mut()).await {
            Ok(outcome) => Won::First { outcome, hedged: false, also_tried: None },
            Err(_) => match attempts.second(ticket.endpoint.id) {
                None => Won::First { outcome: first.await, hedged: false, also_tried: None },
                Some(other) => {
                    let ended = {
                        let mut second = pin!(attempts.attempt(&other, Instant::now()));
                        tokio::select! {
                            outcome = first.as_mut() => match outcome.is_good() {
                                true => Ended::First(outcome),
                                false => Ended::Both(outcome, second.await),
                            },
                            outcome = second.as_mut() => match outcome.is_good() {
                                true => Ended::Second(outcome),
                                false => Ended::Both(first.await, outcome),
                            },
                        }
                    };
                    match ended {
                        Ended::First(outcome) => Won::First { outcome, hedged: true, also_tried: None },
                        Ended::Second(outcome) => Won::Second(other, outcome),
                        Ended::Both(_, second) if second.is_good() => Won::Second(other, second),
                        Ended::Both(outcome, second) => {
                            let also_tried = Some(other.endpoint.id);
                            if let Some(event) = second.event {
                                other.finish(event, Instant::now());
                            }
                            Won::First { outcome, hedged: true, also_tried }
                        }
                    }
                }
            },
        }
    };
    match won {
        Won::First { outcome, hedged, also_tried } => Winner { ticket, outcome, also_tried, hedged },
        Won::Second(ticket, outcome) => Winner { ticket, outcome, also_tried: None, hedged: true },
    }
}
