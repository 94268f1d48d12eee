//! Which sequence runs where: slots, the backlog behind them, batches.

use super::{
    Plan, SequenceId, Turn,
    choose::{Choice, choose},
    rows::Rows,
    slot::{Sequence, turn},
};
use crate::{
    Request, Tensor,
    queue::{DEFAULT_MAX_QUEUE_SIZE, Next},
};
use infermesh_wire::Error;
use std::{
    collections::{BTreeMap, HashMap},
    time::Instant,
};

/// Whom a new request concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concerns {
    /// Whoever is free.
    Anybody,
    Instance(usize),
    /// It waits for a slot, whosever becomes free.
    Everybody,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    Slot(usize, usize),
    Backlog(u64),
}

#[derive(Debug)]
pub struct Sequencer {
    pub(super) plan: Plan,
    /// By instance.
    pub(super) slots: Vec<Vec<Option<Sequence>>>,
    /// Sequences without a slot, by key: in the order in which they began.
    pub(super) backlog: BTreeMap<u64, Sequence>,
    /// Those that go on: with the request that ends it a sequence leaves, and its id may be used again.
    pub(super) places: HashMap<SequenceId, Place>,
    /// By instance: whose rows run, by slot and key.
    pub(super) running: Vec<Vec<Option<(usize, u64)>>>,
    pub(super) refused: Vec<(Request, Error)>,
    pub(super) rows: Rows,
    pub(super) len: usize,
    pub(super) next_key: u64,
    pub(super) winding_down: bool,
}

impl Sequencer {
    pub fn new(plan: Plan, instances: usize) -> Self {
        let free = || (0..plan.slots).map(|_| None).collect();
        Self {
            slots: (0..instances).map(|_| free()).collect(),
            backlog: BTreeMap::new(),
            places: HashMap::new(),
            running: vec![Vec::new(); instances],
            refused: Vec::new(),
            rows: Rows::new(&plan),
            len: 0,
            next_key: 0,
            winding_down: false,
            plan,
        }
    }

    /// Requests that wait.
    pub fn pending(&self) -> usize {
        self.len
    }

    /// Whether nothing waits that this instance could run.
    pub fn is_done(&self, instance: usize) -> bool {
        self.backlog.is_empty() && self.slots[instance].iter().flatten().all(|it| it.waiting.is_empty())
    }

    /// Little more will come: a sequence that is silent makes room at once for one that waits, and no batch waits for
    /// company.
    pub fn wind_down(&mut self) {
        self.winding_down = true;
    }

    /// Fails with INVALID_ARGUMENT for a sequence that was not started and UNAVAILABLE if too much waits.
    pub fn push(&mut self, request: Request, now: Instant) -> Result<Concerns, Error> {
        let Some(Turn { id, start, end }) = turn(&request).cloned() else {
            return Err(Error::internal("a request of a sequence has lost it"));
        };
        if self.len >= DEFAULT_MAX_QUEUE_SIZE {
            self.thin_out(now);
            if self.len >= DEFAULT_MAX_QUEUE_SIZE {
                return Err(Error::busy("Exceeds maximum queue size"));
            }
        }
        let place = match self.find(&id, now) {
            Some(place) => place,
            None if start => self.begin(&id, now),
            None => return Err(self.not_started(&id)),
        };
        if end {
            self.places.remove(&id);
        } else {
            self.places.insert(id, place);
        }
        self.len += 1;
        match place {
            Place::Slot(instance, slot) => {
                if let Some(sequence) = &mut self.slots[instance][slot] {
                    sequence.push(request, now);
                }
                Ok(Concerns::Instance(instance))
            }
            Place::Backlog(key) => {
                if let Some(sequence) = self.backlog.get_mut(&key) {
                    sequence.push(request, now);
                }
                Ok(Concerns::Everybody)
            }
        }
    }

    /// What an instance is to do. To be asked when it is free only.
    pub fn next(&mut self, instance: usize, now: Instant) -> Next {
        self.tidy(instance, now);
        if !self.refused.is_empty() {
            return Next::Refuse(std::mem::take(&mut self.refused));
        }
        match choose(&self.plan, &self.slots[instance], (!self.winding_down).then_some(now)) {
            Choice::Rows(rows) => self.take(instance, &rows, now),
            Choice::Wait(until) => Next::Wait(until),
            Choice::Nothing if self.backlog.is_empty() => Next::Empty,
            // The first sequence that falls idle makes room.
            Choice::Nothing => {
                let slots = self.slots[instance].iter().flatten();
                let idle = slots.filter_map(|it| it.falls_idle(self.plan.idle)).min();
                idle.map_or(Next::Empty, Next::Wait)
            }
        }
    }

    /// The batch of an instance is done. `states` are those of its rows, in their order; none if it failed: then each
    /// sequence goes on from where it was.
    pub fn finished(&mut self, instance: usize, states: Vec<Vec<Tensor>>, now: Instant) {
        let mut states = states.into_iter();
        for row in std::mem::take(&mut self.running[instance]) {
            let state = states.next();
            let Some((slot, key)) = row else { continue };
            let Some(sequence) = self.slots[instance][slot].as_mut().filter(|it| it.key == key) else {
                continue;
            };
            sequence.runs = false;
            sequence.heard = now;
            if let Some(state) = state {
                sequence.state = state;
            }
        }
    }

    /// Everything that waits, to refuse it; every sequence is forgotten.
    pub fn drain(&mut self) -> Vec<Request> {
        self.places.clear();
        self.len = 0;
        let slots = self.slots.iter_mut().flatten().filter_map(Option::take);
        let backlog = std::mem::take(&mut self.backlog).into_values();
        slots.chain(backlog).flat_map(|sequence| sequence.waiting).collect()
    }

    /// Where a sequence is that goes on.
    fn find(&mut self, id: &SequenceId, now: Instant) -> Option<Place> {
        let place = *self.places.get(id)?;
        if let Place::Slot(instance, slot) = place
            && self.is_idle(instance, slot, now)
        {
            self.release(instance, slot);
            return None;
        }
        Some(place)
    }

    fn begin(&mut self, id: &SequenceId, now: Instant) -> Place {
        let key = self.next_key;
        self.next_key += 1;
        let sequence = Sequence::new(id.clone(), key, now);
        // Those that came before have the first claim to a slot.
        if let Some((instance, slot)) = self.backlog.is_empty().then(|| self.free_slot(now)).flatten() {
            self.slots[instance][slot] = Some(sequence);
            return Place::Slot(instance, slot);
        }
        self.backlog.insert(key, sequence);
        Place::Backlog(key)
    }

    fn take(&mut self, instance: usize, chosen: &[Option<usize>], now: Instant) -> Next {
        let mut batch = Vec::with_capacity(chosen.len());
        let mut running = Vec::with_capacity(chosen.len());
        for &slot in chosen {
            let taken = slot.and_then(|slot| self.take_one(instance, slot));
            running.push(taken.as_ref().map(|(key, _)| (slot.unwrap_or_default(), *key)));
            batch.push(taken.map(|(_, request)| request));
        }
        self.running[instance] = running;
        match self.rows.fill(batch) {
            batch if batch.is_empty() => {
                // All of it expired at this very moment.
                self.running[instance].clear();
                self.next(instance, now)
            }
            batch => Next::Run(batch),
        }
    }

    /// The next request of a slot, with what the model is told about it; its sequence's key.
    fn take_one(&mut self, instance: usize, slot: usize) -> Option<(u64, Request)> {
        let sequence = self.slots[instance][slot].as_mut()?;
        if !sequence.waiting.front()?.claim() {
            sequence.lost = true;
            return None;
        }
        let mut request = sequence.waiting.pop_front()?;
        self.len -= 1;
        let key = sequence.key;
        self.rows.complete(&mut request, &sequence.state);
        if turn(&request).is_some_and(|turn| turn.end) {
            self.slots[instance][slot] = None;
        } else {
            sequence.runs = true;
        }
        Some((key, request))
    }

    pub(super) fn not_started(&self, id: &SequenceId) -> Error {
        Error::invalid(format!(
            "inference request for sequence {id} to model '{}' must specify the START flag on the first request of the sequence",
            self.plan.model
        ))
    }
}
