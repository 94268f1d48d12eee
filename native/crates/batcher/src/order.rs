//! Lets batches go home in the order in which they were formed, whichever is done first.

use std::collections::BTreeMap;

/// Batches that are done and wait for an earlier one; beyond, no instance begins another.
const MOST_HELD: usize = 64;

/// The number of a batch, from 0.
pub type Ticket = u64;

#[derive(Debug)]
pub struct Order<T> {
    formed: Ticket,
    gone: Ticket,
    held: BTreeMap<Ticket, T>,
}

impl<T> Default for Order<T> {
    fn default() -> Self {
        Self { formed: 0, gone: 0, held: BTreeMap::new() }
    }
}

impl<T> Order<T> {
    /// For a batch that has just been formed.
    pub fn ticket(&mut self) -> Ticket {
        self.formed += 1;
        self.formed - 1
    }

    pub fn is_full(&self) -> bool {
        self.held.len() >= MOST_HELD
    }

    /// A batch is done; returns those that may go now, in order.
    pub fn done(&mut self, ticket: Ticket, batch: T) -> Vec<T> {
        self.held.insert(ticket, batch);
        let mut going = Vec::new();
        while let Some(next) = self.held.remove(&self.gone) {
            self.gone += 1;
            going.push(next);
        }
        going
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_early_batch_waits_for_the_one_before_it() {
        let mut order = Order::default();
        let [first, second, third] = [(); 3].map(|()| order.ticket());
        assert_eq!(order.done(second, "b"), Vec::<&str>::new());
        assert_eq!(order.done(first, "a"), ["a", "b"]);
        assert_eq!(order.done(third, "c"), ["c"]);
    }

    #[test]
    fn it_holds_a_bounded_number() {
        let mut order = Order::default();
        let first = order.ticket();
        for _ in 0..MOST_HELD {
            assert!(!order.is_full());
            let ticket = order.ticket();
            order.done(ticket, ());
        }
        assert!(order.is_full());
        assert_eq!(order.done(first, ()).len(), MOST_HELD + 1);
        assert!(!order.is_full());
    }

    proptest! {
        #[test]
        fn everything_goes_once_and_in_order(mut done in Just((0u64..40).collect::<Vec<_>>()).prop_shuffle()) {
            let mut order = Order { formed: done.len() as Ticket, ..Order::default() };
            let gone: Vec<u64> = done.iter().flat_map(|&ticket| order.done(ticket, ticket)).collect();
            done.sort_unstable();
            prop_assert_eq!(gone, done);
        }
    }
}
