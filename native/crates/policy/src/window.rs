//! A sum over the last so many seconds, in slots: what is added is forgotten with its slot.

use std::{
    ops::{AddAssign, SubAssign},
    time::{Duration, Instant},
};

const SLOTS: usize = 10;

#[derive(Debug)]
pub struct Window<T> {
    slots: [T; SLOTS],
    sum: T,
    current: usize,
    /// When the current slot began.
    since: Instant,
    slot: Duration,
}

impl<T: Copy + Default + AddAssign + SubAssign> Window<T> {
    /// Remembers `span`, and up to a tenth less.
    pub fn new(now: Instant, span: Duration) -> Self {
        let slot = (span / SLOTS as u32).max(Duration::from_nanos(1));
        Self { slots: [T::default(); SLOTS], sum: T::default(), current: 0, since: now, slot }
    }

    pub fn add(&mut self, now: Instant, amount: T) {
        self.advance(now);
        self.slots[self.current] += amount;
        self.sum += amount;
    }

    pub fn sum(&mut self, now: Instant) -> T {
        self.advance(now);
        self.sum
    }

    pub fn clear(&mut self) {
        self.slots = [T::default(); SLOTS];
        self.sum = T::default();
    }

    fn advance(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.since);
        if passed < self.slot {
            return;
        }
        let slots = passed.as_nanos() / self.slot.as_nanos();
        if slots >= SLOTS as u128 {
            self.clear();
            self.since = now;
            return;
        }
        for _ in 0..slots {
            self.current = (self.current + 1) % SLOTS;
            self.sum -= std::mem::take(&mut self.slots[self.current]);
        }
        self.since += self.slot * slots as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_is_added_is_forgotten_after_the_span() {
        let start = Instant::now();
        let mut window = Window::new(start, 10 * SECOND);
        window.add(start, 5);
        window.add(start + 4 * SECOND, 7);
        assert_eq!(window.sum(start + 9 * SECOND), 12);
        assert_eq!(window.sum(start + 10 * SECOND), 7);
        assert_eq!(window.sum(start + 14 * SECOND), 0);
    }

    #[test]
    fn a_long_silence_forgets_everything() {
        let start = Instant::now();
        let mut window = Window::new(start, 10 * SECOND);
        window.add(start, 5);
        assert_eq!(window.sum(start + 100_000 * SECOND), 0);
    }

    proptest! {
        /// Nothing younger than nine tenths of the span is forgotten, nothing older than the span remembered.
        #[test]
        fn it_remembers_its_span(steps in prop::collection::vec((0u64..3_000, 0i64..100), 1..60)) {
            let start = Instant::now();
            let (mut window, mut now, mut added) = (Window::new(start, 10 * SECOND), start, Vec::new());
            for (millis, amount) in steps {
                now += Duration::from_millis(millis);
                window.add(now, amount);
                added.push((now, amount));
                let within = |age| {
                    added.iter().filter(|(at, _)| now - *at < age).map(|(_, amount)| amount).sum()
                };
                let (least, most): (i64, i64) = (within(9 * SECOND), within(10 * SECOND));
                prop_assert!((least..=most).contains(&window.sum(now)));
            }
        }
    }
}
