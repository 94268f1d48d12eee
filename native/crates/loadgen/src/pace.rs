//! When one thread's requests are due, and which of them wait.

use crate::{
    arrivals::Schedule,
    plan::{Arrivals, OpenSchedule, Plan},
};
use std::collections::VecDeque;

/// Moments are on the generator's clock.
pub enum Pace {
    /// A request for each moment in the list, which is when its predecessor ended.
    Closed(VecDeque<u64>),
    Open(Open),
}

pub struct Open {
    schedule: Schedule,
    start: u64,
    backlog: Option<Backlog>,
    /// Something holds the next request back.
    held: bool,
    /// Up to when requests were due that were held back, or stood behind others that were.
    freed: u64,
}

/// Requests that are due and not sent. Counting them anew each time would take longer the more there are.
struct Backlog {
    count: u64,
    /// The schedule from where it is not counted yet.
    ahead: Schedule,
}

impl Pace {
    /// For thread `index` of the plan's.
    pub fn new(plan: &Plan, index: usize) -> Self {
        let threads = plan.threads;
        let schedule = match &plan.arrivals {
            Arrivals::Closed { .. } => return Self::Closed(VecDeque::new()),
            Arrivals::Open { schedule, .. } => schedule,
        };
        let schedule = match schedule {
            OpenSchedule::Constant(rate) => Schedule::constant(*rate, index, threads),
            OpenSchedule::Poisson(rate) => Schedule::poisson(*rate, index, threads, plan.seed),
            OpenSchedule::Replay(gaps) => Schedule::replay(gaps.clone(), index, threads),
        };
        Self::Open(Open { schedule, start: u64::MAX, backlog: None, held: false, freed: 0 })
    }

    /// From `start` on; in a closed loop, with `most` requests at once.
    pub fn begin(&mut self, start: u64, most: usize) {
        match self {
            Self::Closed(free) => free.extend(std::iter::repeat_n(start, most)),
            Self::Open(open) => open.start = start,
        }
    }

    /// When the next request is due; none while all are under way.
    pub fn due(&self) -> Option<u64> {
        match self {
            Self::Closed(free) => free.front().copied(),
            Self::Open(open) => Some(open.start.saturating_add(open.schedule.next())),
        }
    }

    /// The next request is sent or given up: the one after it is the next.
    pub fn advance(&mut self) {
        match self {
            Self::Closed(free) => drop(free.pop_front()),
            Self::Open(open) => {
                open.schedule.advance();
                let count = open.backlog.as_ref().map_or(0, |backlog| backlog.count);
                open.backlog = open.backlog.take().filter(|_| count > 1);
                if let Some(backlog) = &mut open.backlog {
                    backlog.count -= 1;
                }
            }
        }
    }

    /// A request has ended.
    pub fn ended(&mut self, now: u64) {
        if let Self::Closed(free) = self {
            free.push_back(now);
        }
    }

    /// The next request is due and cannot be sent.
    pub fn hold(&mut self) {
        if let Self::Open(open) = self {
            open.held = true;
        }
    }

    /// Whether requests are counted that wait.
    pub fn has_backlog(&self) -> bool {
        matches!(self, Self::Open(Open { backlog: Some(_), .. }))
    }

    pub fn is_held(&self) -> bool {
        match self {
            Self::Closed(free) => !free.is_empty(),
            Self::Open(open) => open.held,
        }
    }

    /// The request that was due at `due` is sent now. How late, if that is nobody's fault but the generator's.
    pub fn sent(&mut self, due: u64, now: u64) -> Option<u64> {
        let Self::Open(open) = self else { return None };
        if std::mem::take(&mut open.held) {
            open.freed = now;
        }
        (due > open.freed).then(|| now - due)
    }

    /// How many requests of an open loop are due before `end` and not sent.
    pub fn unsent(&mut self, end: u64) -> u64 {
        let Self::Open(open) = self else { return 0 };
        let backlog = open.backlog.get_or_insert_with(|| Backlog { count: 0, ahead: open.schedule.clone() });
        while open.start.saturating_add(backlog.ahead.next()) < end {
            backlog.ahead.advance();
            backlog.count += 1;
        }
        let count = backlog.count;
        if count == 0 {
            open.backlog = None;
        }
        count
    }

    /// How many requests could be sent now if there were connections for all.
    pub fn waiting(&mut self, now: u64) -> u64 {
        match self {
            Self::Closed(free) => free.len() as u64,
            Self::Open(_) => self.unsent(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(rate: f64) -> Pace {
        let schedule = Schedule::constant(rate, 0, 1);
        let mut pace = Pace::Open(Open { schedule, start: u64::MAX, backlog: None, held: false, freed: 0 });
        pace.begin(1_000, 1);
        pace
    }

    #[test]
    fn a_backlog_is_counted_as_it_grows_and_shrinks() {
        let mut pace = open(1e6);
        assert_eq!((pace.due(), pace.unsent(2_000)), (Some(2_000), 0));
        assert_eq!(pace.unsent(6_500), 5);
        pace.advance();
        pace.advance();
        assert_eq!((pace.unsent(6_500), pace.unsent(7_500)), (3, 4));
        (0..4).for_each(|_| pace.advance());
        assert_eq!((pace.due(), pace.unsent(7_500)), (Some(8_000), 0));
        pace.advance();
        assert_eq!(pace.unsent(9_500), 1, "only what is due at 9000: the one before it is sent");
    }

    #[test]
    fn lateness_is_that_of_requests_which_nothing_held_back() {
        let mut pace = open(1e6);
        assert_eq!(pace.sent(2_000, 2_300), Some(300));
        pace.hold();
        assert!(pace.is_held());
        // The first was held back, and so were those that came due behind it until it was sent.
        assert_eq!(pace.sent(3_000, 6_100), None);
        assert!(!pace.is_held());
        assert_eq!((pace.sent(4_000, 6_100), pace.sent(6_000, 6_200)), (None, None));
        assert_eq!(pace.sent(7_000, 7_050), Some(50));
    }

    #[test]
    fn a_closed_loop_sends_when_something_has_ended() {
        let mut pace = Pace::Closed(VecDeque::new());
        assert_eq!(pace.due(), None);
        pace.begin(5, 2);
        assert_eq!((pace.due(), pace.waiting(9)), (Some(5), 2));
        pace.advance();
        pace.ended(7);
        pace.advance();
        assert_eq!(pace.due(), Some(7));
        pace.advance();
        assert_eq!((pace.due(), pace.unsent(100), pace.sent(7, 9)), (None, 0, None));
    }
}
