//! Which requests form the next batch, and when. Pure: it never looks at a clock or a thread.

use crate::Request;
use infermesh_wire::{Code, Error};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// How a model batches, in the terms of its configuration.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Rows; 0: the model has no batch dimension and every request runs alone.
    pub max_batch_size: usize,
    /// Whether requests are combined at all.
    pub dynamic: bool,
    /// Rows, in ascending order.
    pub preferred_batch_sizes: Vec<usize>,
    /// How long the oldest request may wait for company.
    pub max_queue_delay: Duration,
    /// Requests.
    pub max_queue_size: usize,
    /// How long a request may wait for an instance before it is refused.
    pub timeout: Option<Duration>,
    /// Whether a request may ask for less than that, or for any limit where there is none.
    pub allow_timeout_override: bool,
}

/// Requests that may wait where the configuration names no limit: no queue is without one.
pub const DEFAULT_MAX_QUEUE_SIZE: usize = 16_384;

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_batch_size: 0,
            dynamic: false,
            preferred_batch_sizes: Vec::new(),
            max_queue_delay: Duration::ZERO,
            max_queue_size: DEFAULT_MAX_QUEUE_SIZE,
            timeout: None,
            allow_timeout_override: false,
        }
    }
}

impl Policy {
    /// Whether a free instance takes whatever is there instead of waiting for more.
    pub fn is_immediate(&self) -> bool {
        !self.dynamic || self.max_queue_delay.is_zero()
    }

    /// How long a request that asks for `own` may wait.
    pub fn patience(&self, own: Option<Duration>) -> Option<Duration> {
        match own.filter(|_| self.allow_timeout_override) {
            Some(own) => Some(self.timeout.map_or(own, |limit| own.min(limit))),
            None => self.timeout,
        }
    }

    /// So many waiting rows may complete a batch before its delay is over.
    pub fn interesting_rows(&self) -> usize {
        self.preferred_batch_sizes.first().copied().unwrap_or(self.max_batch_size).max(1)
    }
}

#[derive(Debug)]
pub enum Next {
    /// These run together, now.
    Run(Vec<Request>),
    /// Nothing is due before this moment unless more requests arrive.
    Wait(Instant),
    Empty,
}

#[derive(Debug)]
pub struct Queue {
    policy: Policy,
    waiting: VecDeque<Request>,
    rows: usize,
}

impl Queue {
    pub fn new(policy: Policy) -> Self {
        Self { policy, waiting: VecDeque::new(), rows: 0 }
    }

    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Rows of all waiting requests.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Fails with UNAVAILABLE when the queue is full of requests that somebody still waits for.
    pub fn push(&mut self, request: Request, now: Instant) -> Result<(), Error> {
        if self.waiting.len() >= self.policy.max_queue_size {
            self.waiting.retain(|waiting| !waiting.is_abandoned(now));
            self.rows = self.waiting.iter().map(|waiting| waiting.rows).sum();
            if self.waiting.len() >= self.policy.max_queue_size {
                return Err(Error::new(Code::Unavailable, "Exceeds maximum queue size"));
            }
        }
        self.rows += request.rows;
        self.waiting.push_back(request);
        Ok(())
    }

    /// The next batch, in order of arrival. The oldest request is always part of it; requests of another shape stay
    /// behind for a later one, and what nobody waits for is dropped.
    pub fn next(&mut self, now: Instant) -> Next {
        loop {
            match self.choose(now) {
                // All of it expired at this very moment.
                Next::Run(batch) if batch.is_empty() => {}
                next => return next,
            }
        }
    }

    fn choose(&mut self, now: Instant) -> Next {
        while self.waiting.front().is_some_and(|request| request.is_abandoned(now)) {
            self.remove(0);
        }
        let Some(oldest) = self.waiting.front() else { return Next::Empty };
        if !self.policy.dynamic {
            return Next::Run(self.take(&[0]));
        }

        let mut chosen = Vec::with_capacity(self.waiting.len().min(self.policy.max_batch_size));
        let (mut rows, mut preferred, mut complete) = (0, 0, false);
        for (index, request) in self.waiting.iter().enumerate() {
            if request.is_abandoned(now) || !request.stacks_with(oldest) {
                continue;
            }
            if rows + request.rows > self.policy.max_batch_size {
                complete = true;
                break;
            }
            rows += request.rows;
            chosen.push(index);
            if self.policy.preferred_batch_sizes.contains(&rows) {
                preferred = chosen.len();
            }
            if rows == self.policy.max_batch_size {
                complete = true;
                break;
            }
        }
        let due = oldest.enqueued + self.policy.max_queue_delay;
        if preferred > 0 {
            chosen.truncate(preferred);
        } else if !complete && now < due {
            return Next::Wait(due);
        }
        Next::Run(self.take(&chosen))
    }

    /// Everything that waits, e.g. to refuse it.
    pub fn drain(&mut self) -> Vec<Request> {
        self.rows = 0;
        self.waiting.drain(..).collect()
    }

    fn take(&mut self, chosen: &[usize]) -> Vec<Request> {
        let is_prefix = chosen.last() == Some(&(chosen.len() - 1));
        let mut taken: Vec<Request> = if is_prefix {
            self.waiting.drain(..chosen.len()).collect()
        } else {
            let mut chosen = chosen.iter().copied().peekable();
            let (mut taken, mut left) = (Vec::new(), VecDeque::with_capacity(self.waiting.len()));
            for (index, request) in self.waiting.drain(..).enumerate() {
                if chosen.next_if_eq(&index).is_some() {
                    taken.push(request);
                } else {
                    left.push_back(request);
                }
            }
            self.waiting = left;
            taken
        };
        self.rows -= taken.iter().map(|request| request.rows).sum::<usize>();
        taken.retain(Request::claim);
        taken
    }

    fn remove(&mut self, index: usize) {
        if let Some(request) = self.waiting.remove(index) {
            self.rows -= request.rows;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Expiry, Mailbox, Outcome, Tensor};
    use smallvec::smallvec;
    use tokio::sync::oneshot;

    struct Bench {
        start: Instant,
        queue: Queue,
        callers: Vec<Option<oneshot::Receiver<Outcome>>>,
    }

    impl Bench {
        fn new(policy: Policy) -> Self {
            Self { start: Instant::now(), queue: Queue::new(policy), callers: Vec::new() }
        }

        fn at(&self, micros: u64) -> Instant {
            self.start + Duration::from_micros(micros)
        }

        fn push_shaped(&mut self, micros: u64, rows: usize, width: i64) -> Result<(), Error> {
            let (reply, caller) = oneshot::channel();
            self.callers.push(Some(caller));
            let request = Request {
                inputs: smallvec![Tensor { shape: smallvec![rows as i64, width], data: Default::default() }],
                rows,
                deadline: None,
                enqueued: self.at(micros),
                expiry: None,
                reply,
                mailbox: Mailbox::for_this_thread(),
                trace: None,
            };
            self.queue.push(request, self.at(micros))
        }

        fn push(&mut self, micros: u64, rows: usize) {
            self.push_shaped(micros, rows, 4).unwrap();
        }

        fn give_up(&mut self, caller: usize) {
            self.callers[caller] = None;
        }

        /// The next batch as rows per request, or when to look again.
        fn next(&mut self, micros: u64) -> Result<Vec<usize>, Option<u64>> {
            match self.queue.next(self.at(micros)) {
                Next::Run(batch) => Ok(batch.iter().map(|request| request.rows).collect()),
                Next::Wait(until) => Err(Some((until - self.start).as_micros() as u64)),
                Next::Empty => Err(None),
            }
        }
    }

    fn dynamic(max_batch_size: usize, delay: u64) -> Policy {
        let max_queue_delay = Duration::from_micros(delay);
        Policy { max_batch_size, dynamic: true, max_queue_delay, ..Policy::default() }
    }

    #[test]
    fn without_delay_everything_that_is_there_runs() {
        let mut bench = Bench::new(dynamic(8, 0));
        assert_eq!(bench.next(0), Err(None));
        (0..3).for_each(|_| bench.push(0, 2));
        assert_eq!(bench.next(0), Ok(vec![2, 2, 2]));
        assert_eq!(bench.next(0), Err(None));
    }

    #[test]
    fn a_batch_never_exceeds_its_size() {
        let mut bench = Bench::new(dynamic(8, 0));
        [5, 3, 4, 5].into_iter().for_each(|rows| bench.push(0, rows));
        assert_eq!(bench.next(0), Ok(vec![5, 3]));
        assert_eq!(bench.next(0), Ok(vec![4]));
        assert_eq!(bench.next(0), Ok(vec![5]));
        assert_eq!(bench.queue.rows(), 0);
    }

    #[test]
    fn the_delay_counts_from_the_oldest_request() {
        let mut bench = Bench::new(dynamic(8, 100));
        bench.push(0, 1);
        bench.push(90, 1);
        assert_eq!(bench.next(90), Err(Some(100)));
        assert_eq!(bench.next(100), Ok(vec![1, 1]));
    }

    #[test]
    fn a_full_batch_does_not_wait() {
        let mut bench = Bench::new(dynamic(4, 1_000));
        (0..5).for_each(|_| bench.push(0, 1));
        assert_eq!(bench.next(0), Ok(vec![1, 1, 1, 1]));
        assert_eq!(bench.next(0), Err(Some(1_000)));
    }

    #[test]
    fn the_largest_preferred_size_runs_at_once() {
        let mut bench = Bench::new(Policy { preferred_batch_sizes: vec![2, 4], ..dynamic(8, 1_000) });
        (0..5).for_each(|_| bench.push(0, 1));
        assert_eq!(bench.next(0), Ok(vec![1; 4]));
        assert_eq!(bench.next(0), Err(Some(1_000)));
        assert_eq!(bench.next(1_000), Ok(vec![1]));
    }

    #[test]
    fn unequal_shapes_never_share_a_batch() {
        let mut bench = Bench::new(dynamic(8, 0));
        for (rows, width) in [(1, 4), (2, 5), (3, 4), (4, 5)] {
            bench.push_shaped(0, rows, width).unwrap();
        }
        assert_eq!(bench.next(0), Ok(vec![1, 3]));
        assert_eq!(bench.next(0), Ok(vec![2, 4]));
    }

    #[test]
    fn without_dynamic_batching_each_runs_alone() {
        let mut bench = Bench::new(Policy { max_batch_size: 8, ..Policy::default() });
        (0..2).for_each(|_| bench.push(0, 1));
        assert_eq!(bench.next(0), Ok(vec![1]));
        assert_eq!(bench.next(0), Ok(vec![1]));
    }

    #[test]
    fn a_full_queue_refuses_until_somebody_gives_up() {
        let mut bench = Bench::new(Policy { max_queue_size: 2, ..dynamic(8, 0) });
        bench.push(0, 1);
        bench.push(0, 2);
        let error = bench.push_shaped(0, 3, 4).unwrap_err();
        assert_eq!((error.code, &*error.message), (Code::Unavailable, "Exceeds maximum queue size"));
        bench.give_up(0);
        bench.push(0, 4);
        assert_eq!(bench.next(0), Ok(vec![2, 4]));
    }

    #[test]
    fn what_nobody_waits_for_never_runs() {
        let mut bench = Bench::new(dynamic(8, 0));
        (1..=4).for_each(|rows| bench.push(0, rows));
        bench.give_up(0);
        bench.give_up(2);
        assert_eq!(bench.next(0), Ok(vec![2, 4]));
        assert_eq!(bench.next(0), Err(None));
        assert_eq!((bench.queue.len(), bench.queue.rows()), (0, 0));
    }

    #[test]
    fn a_deadline_that_passed_in_the_queue_is_kept() {
        let mut bench = Bench::new(dynamic(8, 1_000));
        bench.push(0, 1);
        let deadline = bench.at(500);
        bench.queue.waiting[0].deadline = Some(deadline);
        bench.push(0, 2);
        assert_eq!(bench.next(499), Err(Some(1_000)));
        assert_eq!(bench.next(1_000), Ok(vec![2]));
    }

    #[test]
    fn a_request_runs_or_expires_but_never_both() {
        let mut bench = Bench::new(dynamic(8, 0));
        (1..=3).for_each(|rows| bench.push(0, rows));
        let expiries: Vec<Expiry> = (0..3).map(|_| Expiry::new(bench.at(500))).collect();
        for (request, expiry) in bench.queue.waiting.iter_mut().zip(&expiries) {
            request.expiry = Some(expiry.clone());
        }
        // The caller of the first was quicker than the queue.
        assert!(expiries[0].claim());
        assert_eq!(bench.next(499), Ok(vec![2, 3]));
        assert!(!expiries[1].claim());
    }

    #[test]
    fn an_expired_request_never_runs() {
        let mut bench = Bench::new(dynamic(8, 0));
        bench.push(0, 1);
        bench.queue.waiting[0].expiry = Some(Expiry::new(bench.at(500)));
        assert_eq!(bench.next(500), Err(None));
    }

    #[test]
    fn a_caller_may_shorten_its_wait_where_that_is_allowed() {
        let (short, long) = (Duration::from_micros(1), Duration::from_micros(9));
        let fixed = Policy { timeout: Some(short), ..Policy::default() };
        assert_eq!((fixed.patience(None), fixed.patience(Some(long))), (Some(short), Some(short)));
        let open = Policy { timeout: Some(long), allow_timeout_override: true, ..Policy::default() };
        assert_eq!((open.patience(Some(short)), open.patience(Some(long * 2))), (Some(short), Some(long)));
        let none = Policy { allow_timeout_override: true, ..Policy::default() };
        assert_eq!((none.patience(None), none.patience(Some(short))), (None, Some(short)));
    }

    mod properties {
        use super::*;
        use proptest::prelude::*;

        proptest! {
            /// Whatever arrives and whenever one looks: each request runs exactly once, in a batch of its own
            /// shape, within the size, and no later than its delay once somebody looks.
            #[test]
            fn batches_keep_their_promises(
                arrivals in prop::collection::vec((0u64..50, 1usize..8, 0i64..3), 1..60),
                delay in 0u64..100,
                preferred in prop::collection::btree_set(1usize..8, 0..3),
            ) {
                let preferred_batch_sizes: Vec<usize> = preferred.into_iter().collect();
                let mut bench = Bench::new(Policy { preferred_batch_sizes, ..dynamic(8, delay) });
                let (mut now, mut ran) = (0, 0);
                let total = arrivals.len();
                for (gap, rows, width) in arrivals {
                    now += gap;
                    bench.push_shaped(now, rows, width).unwrap();
                    let at = bench.at(now);
                    while let Next::Run(batch) = bench.queue.next(at) {
                        prop_assert!(batch.iter().map(|request| request.rows).sum::<usize>() <= 8);
                        prop_assert!(batch.iter().all(|request| request.stacks_with(&batch[0])));
                        ran += batch.len();
                    }
                    if let Next::Wait(until) = bench.queue.next(at) {
                        prop_assert!(until > at && until <= at + Duration::from_micros(delay));
                    }
                }
                let end = bench.at(now + 1_000);
                while let Next::Run(batch) = bench.queue.next(end) {
                    ran += batch.len();
                }
                prop_assert_eq!(ran, total);
            }
        }
    }
}
