//! A bounded queue that is filled on the request path and emptied by a thread that may wait.

use std::{
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// Nobody waits longer, so that no moment is out of a clock's reach.
const LONGEST: Duration = Duration::from_secs(3600);

/// When what is in the queue is worth taking. An item counts as one, or as what it weighs
/// (`Outbox::weighing`).
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// What may wait; what comes then is dropped.
    pub capacity: usize,
    /// So much is handed out at once, at most, but one item in any case.
    pub batch: usize,
    /// A smaller batch is handed out when its oldest item has waited this long.
    pub delay: Duration,
}

#[derive(Debug)]
pub struct Outbox<T> {
    state: Mutex<State<T>>,
    weigh: fn(&T) -> usize,
    news: Condvar,
    taken: AtomicU64,
    dropped: AtomicU64,
}

#[derive(Debug)]
struct State<T> {
    pace: Pace,
    items: Vec<T>,
    /// Of all items.
    weight: usize,
    /// When the oldest item came.
    since: Option<Instant>,
    flushing: bool,
}

impl<T> Outbox<T> {
    pub fn new(pace: Pace) -> Self {
        Self::weighing(pace, |_| 1)
    }

    /// A queue whose items differ so much that their number bounds nothing: the pace is in what `weigh`
    /// returns, which has to be the same each time.
    pub fn weighing(pace: Pace, weigh: fn(&T) -> usize) -> Self {
        let state = State { pace, items: Vec::new(), weight: 0, since: None, flushing: false };
        Self {
            state: Mutex::new(state),
            weigh,
            news: Condvar::new(),
            taken: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        }
    }

    pub fn set_pace(&self, pace: Pace) {
        self.lock().pace = pace;
    }

    /// Puts items in, all or none.
    pub fn post(&self, items: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>) {
        let items = items.into_iter();
        let mut state = self.lock();
        let (count, before) = (state.items.len(), state.weight);
        state.items.extend(items);
        let after = before.saturating_add(self.weight(&state.items[count..]));
        if after > state.pace.capacity {
            let refused = state.items.split_off(count);
            drop(state);
            self.dropped.fetch_add(refused.len() as u64, Relaxed);
            return;
        }
        state.weight = after;
        // The reader sleeps until the first, and then until a batch is full or due.
        let first = count == 0 && !state.items.is_empty();
        if first {
            state.since = Some(Instant::now());
        }
        if first || (before < state.pace.batch && after >= state.pace.batch) {
            drop(state);
            self.news.notify_one();
        }
    }

    /// The next batch, in the order it was posted; empty if none is full or due within `patience`.
    pub fn take(&self, patience: Duration) -> Vec<T> {
        let give_up = Instant::now() + patience.min(LONGEST);
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            let due = state.since.map(|since| since + state.pace.delay);
            let ready = state.weight >= state.pace.batch
                || state.flushing && !state.items.is_empty()
                || due.is_some_and(|due| due <= now);
            if ready {
                let size = self.batch(&state);
                let rest = state.items.split_off(size);
                state.weight -= self.weight(&state.items);
                // What is left came later; when exactly does not matter, as it is more than a batch or young.
                state.since = (!rest.is_empty()).then_some(now);
                self.taken.fetch_add(size as u64, Relaxed);
                return std::mem::replace(&mut state.items, rest);
            }
            let until = due.map_or(give_up, |due| due.min(give_up));
            let pause = until.saturating_duration_since(now);
            if state.flushing || pause.is_zero() {
                return Vec::new();
            }
            state = self.news.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// How many of the items make a batch.
    fn batch(&self, state: &State<T>) -> usize {
        let mut room = state.pace.batch;
        let fit = |item: &&T| {
            let left = room.checked_sub((self.weigh)(item));
            room = left.unwrap_or(0);
            left.is_some()
        };
        state.items.iter().take_while(fit).count().max(1).min(state.items.len())
    }

    fn weight(&self, items: &[T]) -> usize {
        items.iter().map(self.weigh).fold(0, usize::saturating_add)
    }

    /// From now on nothing is kept back: `take` returns at once.
    pub fn flush(&self) {
        self.lock().flushing = true;
        self.news.notify_all();
    }

    /// Items that were taken.
    pub fn taken(&self) -> u64 {
        self.taken.load(Relaxed)
    }

    /// Items that did not fit.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Counts items that were lost after they were taken.
    pub fn lost(&self, count: u64) {
        self.dropped.fetch_add(count, Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    const HOUR: Duration = LONGEST;

    fn outbox(capacity: usize, batch: usize, delay: Duration) -> Outbox<u32> {
        Outbox::new(Pace { capacity, batch, delay })
    }

    #[test]
    fn a_full_batch_is_handed_out_and_the_rest_waits() {
        let outbox = outbox(10, 2, HOUR);
        outbox.post([1]);
        outbox.post([2, 3]);
        assert_eq!(outbox.take(HOUR), [1, 2]);
        assert!(outbox.take(Duration::ZERO).is_empty());
        outbox.flush();
        assert_eq!(outbox.take(HOUR), [3]);
        assert!(outbox.take(HOUR).is_empty());
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let outbox = outbox(3, 3, HOUR);
        outbox.post([1, 2]);
        outbox.post([3, 4]);
        outbox.post([5]);
        assert_eq!((outbox.dropped(), outbox.take(HOUR)), (2, vec![1, 2, 5]));
    }

    #[test]
    fn what_items_weigh_bounds_the_queue_and_its_batches() {
        let outbox = Outbox::weighing(Pace { capacity: 10, batch: 4, delay: HOUR }, |item| *item as usize);
        outbox.post([3, 1]);
        outbox.post([7]);
        outbox.post([5]);
        assert_eq!((outbox.dropped(), outbox.take(HOUR)), (1, vec![3, 1]));
        // An item that is more than a batch leaves alone.
        outbox.post([2]);
        assert_eq!(outbox.take(HOUR), [5]);
        assert!(outbox.take(Duration::ZERO).is_empty());
        outbox.flush();
        assert_eq!((outbox.take(HOUR), outbox.taken()), (vec![2], 4));
    }

    #[test]
    fn a_batch_is_due_when_its_oldest_is() {
        let outbox = outbox(3, 3, Duration::ZERO);
        outbox.post([1]);
        assert_eq!(outbox.take(HOUR), [1]);
    }

    #[test]
    fn a_reader_that_waits_is_woken() {
        let outbox = outbox(3, 1, HOUR);
        thread::scope(|scope| {
            let reader = scope.spawn(|| outbox.take(HOUR));
            outbox.post([7]);
            assert_eq!(reader.join().unwrap(), [7]);
        });
    }
}
