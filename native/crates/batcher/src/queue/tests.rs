use super::*;
use crate::{Expiry, Mailbox, Outcome, Tensor};
use smallvec::smallvec;
use std::time::Duration;
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
        let inputs = smallvec![Tensor { shape: smallvec![rows as i64, width], data: Default::default() }];
        let (request, caller) = Request::new(inputs, rows, self.at(micros), Mailbox::for_this_thread());
        self.callers.push(Some(caller));
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
            Next::Refuse(_) => unreachable!(),
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
