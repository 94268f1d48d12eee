//! Answers whose readers take nothing: who of them has to go when memory is short.
//!
//! Such an answer holds what its upstream has sent ahead. As long as there is memory it may wait; when there is none left,
//! whoever has waited longest goes, and not who comes next.

use infermesh_transport::budget::Hold;
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

/// A shorter wait is no sign of anything: windows are used up and opened all the time.
const PATIENCE: Duration = Duration::from_secs(1);

/// Of one network thread.
#[derive(Debug, Default)]
pub struct Stalled {
    /// By when they came.
    waiting: RefCell<BTreeMap<u64, Waiting>>,
    next: Cell<u64>,
}

#[derive(Debug)]
struct Waiting {
    since: Instant,
    evicted: bool,
    waker: Option<Waker>,
}

/// One that waits, until this is dropped.
#[derive(Debug)]
pub struct Place<'a> {
    stalled: &'a Stalled,
    number: u64,
    _hold: Hold,
}

impl Stalled {
    /// Begins to wait with what `hold` holds; if that is too much for the memory there is, another one goes.
    pub fn enter(&self, now: Instant, hold: Hold) -> Place<'_> {
        if hold.check(1).is_err() {
            self.evict(now);
        }
        let number = self.next.get();
        self.next.set(number + 1);
        self.waiting.borrow_mut().insert(number, Waiting { since: now, evicted: false, waker: None });
        Place { stalled: self, number, _hold: hold }
    }

    fn evict(&self, now: Instant) {
        let mut waiting = self.waiting.borrow_mut();
        let longest = waiting.values_mut().find(|waiting| !waiting.evicted);
        if let Some(longest) = longest.filter(|longest| now >= longest.since + PATIENCE) {
            longest.evicted = true;
            if let Some(waker) = longest.waker.take() {
                waker.wake();
            }
        }
    }
}

impl Place<'_> {
    /// Ready when it has to go.
    pub fn poll_evicted(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut waiting = self.stalled.waiting.borrow_mut();
        match waiting.get_mut(&self.number) {
            Some(waiting) if !waiting.evicted => {
                match &mut waiting.waker {
                    Some(waker) => waker.clone_from(context.waker()),
                    none => *none = Some(context.waker().clone()),
                }
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.stalled.waiting.borrow_mut().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use infermesh_transport::budget::{Budget, Purse};
    use std::{rc::Rc, sync::Arc};

    const LIMIT: usize = 100_000;

    struct Thread {
        stalled: Stalled,
        purse: Rc<Purse>,
        begun: Instant,
    }

    impl Thread {
        fn new() -> Self {
            let purse = Purse::new(Arc::new(Budget::new(LIMIT)));
            Self { stalled: Stalled::default(), purse, begun: Instant::now() }
        }

        fn enter(&self, millis: u64, bytes: usize) -> Place<'_> {
            self.stalled.enter(self.begun + Duration::from_millis(millis), Hold::of(&self.purse, bytes))
        }
    }

    fn has_to_go(place: &Place<'_>) -> bool {
        place.poll_evicted(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn while_there_is_memory_everybody_may_wait() {
        let thread = Thread::new();
        let places: Vec<_> = (0..9).map(|index| thread.enter(index * 10_000, LIMIT / 10)).collect();
        assert!(!places.iter().any(has_to_go));
    }

    #[test]
    fn who_has_waited_longest_makes_room_for_each_who_comes() {
        let thread = Thread::new();
        let mut places: Vec<_> = (0..9).map(|index| thread.enter(index, LIMIT / 10)).collect();
        for gone in 0..3 {
            places.push(thread.enter(2_000, LIMIT / 10));
            let going = places.iter().position(has_to_go);
            assert_eq!(going, Some(0), "{gone}");
            places.remove(0);
        }
        assert!(!places.iter().any(has_to_go));
    }

    #[test]
    fn who_has_waited_for_a_moment_stays() {
        let thread = Thread::new();
        let places: Vec<_> = (0..20).map(|index| thread.enter(index * 49, LIMIT / 10)).collect();
        assert!(!places.iter().any(has_to_go));
    }

    #[test]
    fn two_who_come_at_once_are_made_room_for_by_two() {
        let thread = Thread::new();
        let places: Vec<_> = (0..10).map(|index| thread.enter(index, LIMIT / 10)).collect();
        let _others = [thread.enter(2_000, 1), thread.enter(2_000, 1)];
        let going: Vec<bool> = places.iter().map(has_to_go).collect();
        assert_eq!(going.iter().filter(|goes| **goes).count(), 2);
        assert!(going[0] && going[1]);
    }
}
