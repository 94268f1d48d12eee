//! Keeps slots in use: who is silent or given up makes room for who waits.

use super::{
    sequencer::{Place, Sequencer},
    slot::{Sequence, turn},
};
use crate::Request;
use std::time::Instant;

impl Sequencer {
    /// The first free slot of the instance that has most of them.
    pub(super) fn free_slot(&mut self, now: Instant) -> Option<(usize, usize)> {
        for instance in 0..self.slots.len() {
            self.drop_idle(instance, now);
        }
        let free = |slots: &Vec<Option<Sequence>>| slots.iter().filter(|slot| slot.is_none()).count();
        let by_room = |&instance: &usize| (free(&self.slots[instance]), usize::MAX - instance);
        let instance = (0..self.slots.len()).max_by_key(by_room)?;
        Some((instance, self.slots[instance].iter().position(Option::is_none)?))
    }

    /// Before an instance is asked for a batch: silent sequences go, lost ones are cut off, waiting ones get their slots.
    pub(super) fn tidy(&mut self, instance: usize, now: Instant) {
        self.drop_idle(instance, now);
        for slot in 0..self.plan.slots {
            if let Some(sequence) = &mut self.slots[instance][slot] {
                let cut = sequence.cut(now);
                let is_over = !cut.is_empty() && sequence.waiting.is_empty() && !sequence.runs;
                self.give_up(cut, now);
                if is_over {
                    self.release(instance, slot);
                }
            }
            while self.slots[instance][slot].is_none() {
                let Some((key, mut sequence)) = self.backlog.pop_first() else { break };
                let cut = sequence.cut(now);
                self.give_up(cut, now);
                let place = self.places.get_mut(&sequence.id);
                let goes_on = place.filter(|place| matches!(place, Place::Backlog(other) if *other == key));
                match (sequence.waiting.is_empty(), goes_on) {
                    (false, goes_on) => {
                        goes_on.into_iter().for_each(|place| *place = Place::Slot(instance, slot));
                        self.slots[instance][slot] = Some(sequence);
                    }
                    (true, Some(_)) => drop(self.places.remove(&sequence.id)),
                    (true, None) => {}
                }
            }
        }
    }

    /// Forgets the sequences in the backlog that nobody waits for any more.
    pub(super) fn thin_out(&mut self, now: Instant) {
        for (key, mut sequence) in std::mem::take(&mut self.backlog) {
            let cut = sequence.cut(now);
            self.give_up(cut, now);
            if !sequence.waiting.is_empty() {
                self.backlog.insert(key, sequence);
            } else if matches!(self.places.get(&sequence.id), Some(Place::Backlog(other)) if *other == key) {
                self.places.remove(&sequence.id);
            }
        }
    }

    /// Of requests that can no longer run, those whose callers still wait are told.
    fn give_up(&mut self, cut: Vec<Request>, now: Instant) {
        self.len -= cut.len();
        for request in cut {
            if !request.is_abandoned(now)
                && request.claim()
                && let Some(turn) = turn(&request)
            {
                let error = self.not_started(&turn.id);
                self.refused.push((request, error));
            }
        }
    }

    fn drop_idle(&mut self, instance: usize, now: Instant) {
        for slot in 0..self.plan.slots {
            if self.is_idle(instance, slot, now) {
                self.release(instance, slot);
            }
        }
    }

    pub(super) fn is_idle(&self, instance: usize, slot: usize, now: Instant) -> bool {
        let sequence = self.slots[instance][slot].as_ref();
        let due = sequence.and_then(|sequence| sequence.falls_idle(self.plan.idle));
        let is_in_the_way = self.winding_down && !self.backlog.is_empty();
        due.is_some_and(|due| is_in_the_way || due <= now)
    }

    /// Forgets the sequence of a slot.
    pub(super) fn release(&mut self, instance: usize, slot: usize) {
        if let Some(sequence) = self.slots[instance][slot].take()
            && matches!(self.places.get(&sequence.id), Some(Place::Slot(i, s)) if (*i, *s) == (instance, slot))
        {
            self.places.remove(&sequence.id);
        }
    }
}
