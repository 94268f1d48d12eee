//! Those that wait for a place: a bounded number, each with a deadline, the highest priority first and among
//! equals who came first.
//!
//! The last places are kept for the high priorities (`shed::thresholds`). Who finds none that he may have takes that of
//! the newest of a lower priority, which has waited least: so nobody is refused while a less urgent one waits.

use crate::{
    priority::Priority,
    settings::{Checked, time},
    shed::Thresholds,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// How many may wait; 0: nobody does.
    pub capacity: usize,
    /// How long each may wait, if its own deadline is not before that.
    pub timeout: Duration,
    /// Of the capacity, what each priority may fill.
    pub thresholds: Thresholds,
}

impl Default for Settings {
    /// 1,024, for 1 s.
    fn default() -> Self {
        Self { capacity: 1_024, timeout: Duration::from_secs(1), thresholds: Thresholds::default() }
    }
}

impl Settings {
    /// Fails with the field, what was found and what is expected.
    pub fn check(&self) -> Checked {
        time("timeout", self.timeout)?;
        self.thresholds.check()
    }
}

/// A place in the queue, by which one can leave it. Ordered as places are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    priority: Priority,
    number: u64,
}

/// What happened to one that came.
#[derive(Debug, PartialEq, Eq)]
pub enum Pushed<T> {
    Waits(Ticket),
    /// It waits in the place of one whose time was up.
    Replaces(Ticket, T),
    /// It waits in the place of one of a lower priority, which is to be refused.
    Displaces(Ticket, T),
    /// No place is left for its priority, and nobody waits that is less urgent.
    Refused(T),
}

/// Whose turn it is.
#[derive(Debug, PartialEq, Eq)]
pub enum Popped<T> {
    Turn(T),
    /// Its time is up: to be told so, and then to look again.
    Expired(T),
    Empty,
}

#[derive(Debug)]
pub struct Queue<T> {
    settings: Settings,
    waiting: BTreeMap<Ticket, (Instant, T)>,
    deadlines: BTreeSet<(Instant, Ticket)>,
    number: u64,
}

impl<T> Queue<T> {
    pub fn new(settings: Settings) -> Self {
        Self { settings, waiting: BTreeMap::new(), deadlines: BTreeSet::new(), number: 0 }
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub fn capacity(&self) -> usize {
        self.settings.capacity
    }

    /// It waits until its deadline, no longer than the queue's timeout.
    pub fn push(
        &mut self,
        item: T,
        priority: Priority,
        deadline: Option<Instant>,
        now: Instant,
    ) -> Pushed<T> {
        let Settings { capacity, thresholds, .. } = &self.settings;
        if thresholds.admit(priority, self.len(), *capacity) {
            return Pushed::Waits(self.insert(item, priority, deadline, now));
        }
        if let Some(expired) = self.take_expired(now) {
            return Pushed::Replaces(self.insert(item, priority, deadline, now), expired);
        }
        let last = self.waiting.last_key_value().map(|(ticket, _)| *ticket);
        match last.filter(|ticket| priority < ticket.priority).and_then(|ticket| self.remove(ticket)) {
            Some(displaced) => Pushed::Displaces(self.insert(item, priority, deadline, now), displaced),
            None => Pushed::Refused(item),
        }
    }

    /// The next one, after all those whose time is up.
    pub fn pop(&mut self, now: Instant) -> Popped<T> {
        if let Some(expired) = self.take_expired(now) {
            return Popped::Expired(expired);
        }
        let Some((ticket, (deadline, item))) = self.waiting.pop_first() else { return Popped::Empty };
        self.deadlines.remove(&(deadline, ticket));
        Popped::Turn(item)
    }

    /// One whose time is up.
    pub fn take_expired(&mut self, now: Instant) -> Option<T> {
        let (_, ticket) = self.deadlines.first().filter(|(deadline, _)| *deadline <= now)?;
        self.remove(*ticket)
    }

    /// When the first one's time is up.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// One leaves that is no longer interested; `None` if it left before.
    pub fn remove(&mut self, ticket: Ticket) -> Option<T> {
        let (deadline, item) = self.waiting.remove(&ticket)?;
        self.deadlines.remove(&(deadline, ticket));
        Some(item)
    }

    fn insert(&mut self, item: T, priority: Priority, deadline: Option<Instant>, now: Instant) -> Ticket {
        let latest = now + self.settings.timeout;
        let deadline = deadline.map_or(latest, |deadline| deadline.min(latest));
        let ticket = Ticket { priority, number: self.number };
        self.number += 1;
        self.waiting.insert(ticket, (deadline, item));
        self.deadlines.insert((deadline, ticket));
        ticket
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: Duration = Duration::from_millis(1);

    /// A queue of so many places that are given up after 100 ms.
    fn queue<T>(capacity: usize) -> (Queue<T>, Instant) {
        let thresholds = Thresholds([1.0; Priority::COUNT]);
        (Queue::new(Settings { capacity, timeout: MS * 100, thresholds }), Instant::now())
    }

    fn priority(number: u8) -> Priority {
        Priority::new(number).unwrap()
    }

    fn turns<T>(queue: &mut Queue<T>, now: Instant) -> Vec<T> {
        std::iter::from_fn(|| match queue.pop(now) {
            Popped::Turn(item) => Some(item),
            Popped::Expired(_) | Popped::Empty => None,
        })
        .collect()
    }

    #[test]
    fn by_priority_and_then_by_arrival() {
        let (mut queue, now) = queue(10);
        for (item, level) in [("c", 1), ("e", 3), ("a", 0), ("d", 1), ("b", 0)] {
            assert!(matches!(queue.push(item, priority(level), None, now), Pushed::Waits(_)));
        }
        assert_eq!(turns(&mut queue, now), ["a", "b", "c", "d", "e"]);
        assert_eq!(queue.pop(now), Popped::Empty);
    }

    #[test]
    fn a_full_queue_gives_up_the_newest_of_the_lowest_priority_for_a_higher_one() {
        let (mut queue, now) = queue(4);
        for (item, level) in [("old low", 3), ("new low", 3), ("middle", 2), ("high", 1)] {
            queue.push(item, priority(level), None, now);
        }
        assert_eq!(queue.push("low", priority(3), None, now), Pushed::Refused("low"));
        assert!(matches!(queue.push("a", priority(1), None, now), Pushed::Displaces(_, "new low")));
        assert!(matches!(queue.push("b", priority(1), None, now), Pushed::Displaces(_, "old low")));
        assert!(matches!(queue.push("c", priority(1), None, now), Pushed::Displaces(_, "middle")));
        assert_eq!(queue.push("d", priority(1), None, now), Pushed::Refused("d"));
        assert_eq!(turns(&mut queue, now), ["high", "a", "b", "c"]);
    }

    #[test]
    fn the_last_places_are_kept_for_the_high_priorities() {
        let now = Instant::now();
        let mut queue = Queue::new(Settings { capacity: 10, ..Settings::default() });
        let mut come = |item: &'static str, level| queue.push(item, priority(level), None, now);
        for _ in 0..5 {
            assert!(matches!(come("last", 3), Pushed::Waits(_)));
        }
        assert_eq!(come("last", 3), Pushed::Refused("last"));
        for _ in 0..4 {
            assert!(matches!(come("middle", 1), Pushed::Waits(_)));
        }
        // Where one waits that is less urgent, nobody is refused.
        assert!(matches!(come("middle", 1), Pushed::Displaces(_, "last")));
        assert!(matches!(come("first", 0), Pushed::Waits(_)));
        assert!(matches!(come("first", 0), Pushed::Displaces(_, "last")));
        assert_eq!(queue.len(), 10);
    }

    #[test]
    fn who_waited_too_long_is_given_back_before_anybodys_turn() {
        let (mut queue, now) = queue(10);
        queue.push("patient", priority(0), Some(now + MS * 500), now);
        queue.push("hasty", priority(3), Some(now + MS * 10), now);
        queue.push("later", priority(3), None, now + MS * 50);
        assert_eq!(queue.next_deadline(), Some(now + MS * 10));
        assert_eq!(queue.take_expired(now + MS * 9), None);
        assert_eq!(queue.pop(now + MS * 10), Popped::Expired("hasty"));
        // The queue's own timeout comes before a later deadline.
        assert_eq!(queue.next_deadline(), Some(now + MS * 100));
        assert_eq!(queue.pop(now + MS * 100), Popped::Expired("patient"));
        assert_eq!(queue.pop(now + MS * 100), Popped::Turn("later"));
        assert_eq!(queue.next_deadline(), None);
    }

    #[test]
    fn who_waited_too_long_makes_room_whatever_its_priority() {
        let (mut queue, now) = queue(2);
        queue.push("high", priority(0), Some(now + MS), now);
        queue.push("low", priority(3), None, now);
        let pushed = queue.push("new", priority(3), None, now + MS);
        assert!(matches!(pushed, Pushed::Replaces(_, "high")), "{pushed:?}");
        assert_eq!(turns(&mut queue, now + MS), ["low", "new"]);
    }

    #[test]
    fn who_leaves_makes_room_and_leaves_once() {
        let (mut queue, now) = queue(1);
        let Pushed::Waits(ticket) = queue.push("a", priority(1), None, now) else { panic!() };
        assert_eq!((queue.remove(ticket), queue.remove(ticket)), (Some("a"), None));
        assert_eq!((queue.len(), queue.next_deadline()), (0, None));
        assert!(matches!(queue.push("b", priority(1), None, now), Pushed::Waits(_)));
    }

    #[test]
    fn where_nobody_may_wait_nobody_does() {
        let (mut queue, now) = queue(0);
        assert_eq!(queue.push("a", Priority::FIRST, None, now), Pushed::Refused("a"));
        assert!(queue.is_empty());
    }

    #[test]
    fn settings_that_are_wrong_say_so() {
        assert_eq!(Settings::default().check(), Ok(()));
        let said = Settings { timeout: Duration::ZERO, ..Settings::default() }.check().unwrap_err();
        assert_eq!(said, "timeout is 0ns: expected more than 0 s and at most a day");
        let thresholds = Thresholds([0.5, 0.6, 0.1, 0.1]);
        let said = Settings { thresholds, ..Settings::default() }.check().unwrap_err();
        assert!(said.starts_with("thresholds[1] is 0.6"), "{said}");
    }

    proptest! {
        /// Whatever comes and goes: each that came leaves exactly once, the queue keeps to its size, and a
        /// turn is never given to one whose time is up or before one that is more urgent.
        #[test]
        fn nobody_is_lost_or_served_twice(
            steps in prop::collection::vec((0u32..30, 0u8..4, 0u32..200, 0u8..6), 1..300),
            capacity in 0usize..8,
        ) {
            let (mut queue, mut now) = queue(capacity);
            let (mut inside, mut left) = (BTreeMap::new(), 0);
            for (index, (gap, level, patience, what)) in steps.iter().copied().enumerate() {
                now += MS * gap;
                let mut leaves = |inside: &mut BTreeMap<_, _>, index: usize| {
                    left += 1;
                    inside.remove(&index).expect("it waits")
                };
                match what {
                    0..3 => {
                        let deadline = now + MS * patience.min(100);
                        let pushed = queue.push(index, priority(level), Some(now + MS * patience), now);
                        if let Pushed::Replaces(_, other) | Pushed::Displaces(_, other) = pushed {
                            let (_, other_level, other_deadline) = leaves(&mut inside, other);
                            prop_assert!(other_deadline <= now || other_level > level);
                        }
                        match pushed {
                            Pushed::Refused(item) => prop_assert_eq!(item, index),
                            Pushed::Waits(it) | Pushed::Replaces(it, _) | Pushed::Displaces(it, _) => {
                                inside.insert(index, (it, level, deadline));
                            }
                        }
                    }
                    3 => {
                        if let Some((&index, &(ticket, ..))) = inside.first_key_value() {
                            prop_assert_eq!(queue.remove(ticket), Some(index));
                            leaves(&mut inside, index);
                        }
                    }
                    _ => match queue.pop(now) {
                        Popped::Turn(index) => {
                            let (_, level, deadline) = leaves(&mut inside, index);
                            prop_assert!(deadline > now);
                            let mut others = inside.iter().map(|(other, (_, its, _))| (*its, *other));
                            prop_assert!(others.all(|other| (level, index) < other));
                        }
                        Popped::Expired(index) => prop_assert!(leaves(&mut inside, index).2 <= now),
                        Popped::Empty => prop_assert!(inside.is_empty()),
                    },
                }
                prop_assert_eq!(queue.len(), inside.len());
                prop_assert!(queue.len() <= capacity);
                let first = inside.values().map(|(_, _, deadline)| *deadline).min();
                prop_assert_eq!(queue.next_deadline(), first);
            }
        }
    }
}
