//! Requests under way, in the order in which their time runs out.

use crate::choice::Step;
use slab::Slab;

/// A request under way.
pub struct Flight {
    pub due: u64,
    pub sent: u64,
    pub workload: usize,
    pub payload: usize,
    pub link: usize,
    /// What its link knows it by.
    pub stream: u32,
    pub step: Option<Step>,
    pub trace: Option<[u8; 16]>,
    pub counts: Counts,
    pub received: u64,
    pub responses: u64,
    /// When the first of several answers came.
    pub first: u64,
    /// From due, of each answer, where they are recorded.
    pub moments: Vec<u64>,
}

/// What a request is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counts {
    /// In everything.
    Measured,
    /// In how many were sent and answered.
    WarmUp,
    /// In nothing: it only ends a sequence.
    Nothing,
}

/// All have the same time from the moment they are due, and are sent in that order: a list through them gives the next
/// one that runs out, and what has ended leaves nothing behind.
pub struct Flights {
    entries: Slab<Entry>,
    first: usize,
    last: usize,
}

struct Entry {
    flight: Flight,
    earlier: usize,
    later: usize,
}

const NONE: usize = usize::MAX;

impl Flights {
    pub fn new() -> Self {
        Self { entries: Slab::new(), first: NONE, last: NONE }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The ticket that the next flight gets.
    pub fn next_ticket(&self) -> usize {
        self.entries.vacant_key()
    }

    pub fn add(&mut self, flight: Flight) -> usize {
        let ticket = self.entries.insert(Entry { flight, earlier: self.last, later: NONE });
        match self.entries.get_mut(self.last) {
            Some(last) => last.later = ticket,
            None => self.first = ticket,
        }
        self.last = ticket;
        ticket
    }

    pub fn get(&self, ticket: usize) -> Option<&Flight> {
        self.entries.get(ticket).map(|entry| &entry.flight)
    }

    pub fn get_mut(&mut self, ticket: usize) -> Option<&mut Flight> {
        self.entries.get_mut(ticket).map(|entry| &mut entry.flight)
    }

    pub fn remove(&mut self, ticket: usize) -> Option<Flight> {
        let Entry { flight, earlier, later } = self.entries.try_remove(ticket)?;
        match self.entries.get_mut(earlier) {
            Some(entry) => entry.later = later,
            None => self.first = later,
        }
        match self.entries.get_mut(later) {
            Some(entry) => entry.earlier = earlier,
            None => self.last = earlier,
        }
        Some(flight)
    }

    /// The one that was due first, and its ticket.
    pub fn oldest(&self) -> Option<(usize, &Flight)> {
        self.get(self.first).map(|flight| (self.first, flight))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flight(due: u64) -> Flight {
        Flight {
            due,
            sent: due,
            workload: 0,
            payload: 0,
            link: 0,
            stream: 0,
            step: None,
            trace: None,
            counts: Counts::Measured,
            received: 0,
            responses: 0,
            first: 0,
            moments: Vec::new(),
        }
    }

    #[test]
    fn the_oldest_is_known_whatever_has_ended() {
        let mut flights = Flights::new();
        let tickets: Vec<_> = (0..5).map(|due| flights.add(flight(due))).collect();
        let oldest = |flights: &Flights| flights.oldest().map(|(_, flight)| flight.due);
        assert_eq!(oldest(&flights), Some(0));
        for (removed, left) in [(2, Some(0)), (0, Some(1)), (4, Some(1)), (1, Some(3))] {
            assert_eq!(flights.remove(tickets[removed]).unwrap().due, removed as u64);
            assert_eq!(oldest(&flights), left, "without {removed}");
        }
        assert!(flights.remove(tickets[1]).is_none());
        // A place is used again, at the end of the list.
        assert_eq!(flights.next_ticket(), flights.add(flight(9)));
        flights.remove(tickets[3]);
        assert_eq!((oldest(&flights), flights.len()), (Some(9), 1));
        let last = flights.oldest().unwrap().0;
        flights.remove(last);
        assert!(flights.is_empty() && flights.oldest().is_none());
        flights.add(flight(10));
        assert_eq!(oldest(&flights), Some(10));
    }
}
