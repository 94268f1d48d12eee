//! Which of an instance's sequences run together, and when.

use super::{Plan, Strategy, slot::Sequence};
use crate::{Request, ragged::Ragged};
use std::time::{Duration, Instant};

#[derive(Debug, PartialEq)]
pub enum Choice {
    /// The rows of a batch, by slot; `None` is a row of nobody.
    Rows(Vec<Option<usize>>),
    Wait(Instant),
    Nothing,
}

/// A slot whose sequence has a request to run.
struct Ready<'a> {
    slot: usize,
    request: &'a Request,
    sequence: &'a Sequence,
}

impl Ready<'_> {
    /// Whether both may share a batch: states may differ in size, too.
    fn stacks_with(&self, other: &Ready<'_>, ragged: &Ragged) -> bool {
        self.request.stacks_with(other.request, ragged)
            && self
                .sequence
                .state
                .iter()
                .zip(&other.sequence.state)
                .all(|(mine, theirs)| mine.shape == theirs.shape)
    }
}

/// With `now` as `None` nothing waits for company.
pub fn choose(plan: &Plan, slots: &[Option<Sequence>], now: Option<Instant>) -> Choice {
    let mut ready: Vec<Ready<'_>> = slots
        .iter()
        .enumerate()
        .filter_map(|(slot, sequence)| {
            let sequence = sequence.as_ref()?;
            Some(Ready { slot, request: sequence.waiting.front()?, sequence })
        })
        .collect();
    ready.sort_by_key(|ready| ready.request.enqueued);
    let Some(oldest) = ready.first() else { return Choice::Nothing };
    let due = |delay: Duration| oldest.request.enqueued + delay;
    match &plan.strategy {
        Strategy::Direct { max_queue_delay, minimum_slot_utilization } => {
            let utilization = ready.len() as f32 / slots.len() as f32;
            match now {
                Some(now) if utilization < *minimum_slot_utilization && now < due(*max_queue_delay) => {
                    Choice::Wait(due(*max_queue_delay))
                }
                _ => Choice::Rows(in_place(&ready, &plan.ragged)),
            }
        }
        Strategy::Oldest { max_batch_size, preferred_batch_sizes, max_queue_delay, preserve_ordering } => {
            let mut rows = by_age(&ready, &plan.ragged, *max_batch_size, *preserve_ordering);
            let preferred = preferred_batch_sizes.iter().rev().find(|&&size| size <= rows.len());
            match (preferred, now) {
                (Some(&size), _) => rows.truncate(size),
                (None, Some(now)) if rows.len() < *max_batch_size && now < due(*max_queue_delay) => {
                    return Choice::Wait(due(*max_queue_delay));
                }
                _ => {}
            }
            Choice::Rows(rows)
        }
    }
}

/// Each row at the position of its slot, up to the last that runs.
fn in_place(ready: &[Ready<'_>], ragged: &Ragged) -> Vec<Option<usize>> {
    let mut joins = joining(ready, ragged);
    let slots: Vec<usize> = ready.iter().filter(|it| joins(it, it.slot + 1)).map(|it| it.slot).collect();
    let last = slots.iter().copied().max().unwrap_or(0);
    (0..=last).map(|slot| slots.contains(&slot).then_some(slot)).collect()
}

/// The oldest, and whoever fits beside it.
fn by_age(ready: &[Ready<'_>], ragged: &Ragged, limit: usize, in_order: bool) -> Vec<Option<usize>> {
    let (mut joins, mut rows) = (joining(ready, ragged), 0);
    let mut fits = |it: &&Ready<'_>| {
        let fits = joins(it, rows + 1);
        rows += usize::from(fits);
        fits
    };
    if in_order {
        return ready.iter().take_while(fits).take(limit).map(|it| Some(it.slot)).collect();
    }
    ready.iter().filter(|it| fits(it)).take(limit).map(|it| Some(it.slot)).collect()
}

/// Says of one after another, from the oldest on, whether it joins a batch that has so many rows with it.
fn joining<'a>(ready: &'a [Ready<'a>], ragged: &'a Ragged) -> impl FnMut(&Ready<'_>, usize) -> bool + 'a {
    let oldest = &ready[0];
    let mut extent = ragged.extent(oldest.request);
    move |it, rows| {
        it.slot == oldest.slot
            || it.stacks_with(oldest, ragged)
                && extent.as_mut().is_none_or(|extent| extent.admit(it.request, rows))
    }
}
