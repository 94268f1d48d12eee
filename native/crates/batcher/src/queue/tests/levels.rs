//! Priority, and what becomes of requests that are late.

use super::*;
use proptest::prelude::*;

fn levels(count: usize) -> Policy {
    Policy { levels: vec![LevelPolicy::default(); count], default_level: count - 1, ..dynamic(4, 0) }
}

fn delaying(timeout: u64) -> LevelPolicy {
    LevelPolicy {
        timeout: Some(Duration::from_micros(timeout)),
        allow_timeout_override: true,
        timeout_action: TimeoutAction::Delay,
        ..LevelPolicy::default()
    }
}

#[test]
fn lower_levels_are_served_first_and_share_batches_with_higher_ones() {
    let mut bench = Bench::new(Policy { max_batch_size: 5, ..levels(3) });
    for (rows, priority) in [(1, 3), (2, 2), (3, 1), (4, 0), (1, 1)] {
        bench.place(0, rows, priority, None).unwrap();
    }
    assert_eq!(bench.next(0), Ok(vec![3, 1]));
    assert_eq!(bench.next(0), Ok(vec![2, 1]));
    assert_eq!(bench.next(0), Ok(vec![4]));
    assert_eq!(bench.next(0), Err(None));
}

#[test]
fn the_delay_counts_from_the_oldest_request_of_any_level() {
    let mut bench = Bench::new(Policy { max_queue_delay: Duration::from_micros(100), ..levels(2) });
    bench.place(0, 1, 2, None).unwrap();
    bench.place(90, 1, 1, None).unwrap();
    assert_eq!(bench.next(90), Err(Some(100)));
    assert_eq!(bench.next(100), Ok(vec![1, 1]));
}

#[test]
fn every_level_has_room_of_its_own() {
    let mut policy = levels(2);
    policy.levels[0].max_queue_size = 1;
    let mut bench = Bench::new(policy);
    bench.place(0, 1, 1, None).unwrap();
    assert_eq!(bench.place(0, 1, 1, None).unwrap_err().message, "Exceeds maximum queue size");
    bench.place(0, 2, 2, None).unwrap();
    bench.place(0, 1, 2, None).unwrap();
    assert_eq!(bench.next(0), Ok(vec![1, 2, 1]));
    bench.place(0, 3, 1, None).unwrap();
    assert_eq!(bench.next(0), Ok(vec![3]));
}

#[test]
fn what_is_late_stands_behind_its_level() {
    let mut bench = Bench::new(Policy {
        max_batch_size: 2,
        levels: vec![delaying(100), LevelPolicy::default()],
        ..levels(2)
    });
    bench.place(0, 1, 1, None).unwrap();
    bench.place(50, 2, 1, None).unwrap();
    bench.place(60, 1, 2, None).unwrap();
    // The first is late now. Of its own level it comes last, but before the next level.
    assert_eq!(bench.next(100), Ok(vec![2]));
    assert_eq!(bench.next(100), Ok(vec![1, 1]));
    assert_eq!(bench.queue.rows(), 0);
}

#[test]
fn a_late_request_is_neither_refused_nor_lost() {
    let mut bench = Bench::new(Policy { max_batch_size: 1, levels: vec![delaying(100)], ..dynamic(1, 0) });
    bench.place(0, 1, 0, None).unwrap();
    for round in 1..10 {
        bench.place(round * 1_000, 1, 0, None).unwrap();
        assert_eq!(bench.next(round * 1_000), Ok(vec![1]));
    }
    assert_eq!(bench.next(10_000), Ok(vec![1]));
    assert!(bench.refused.is_empty());
    assert_eq!(bench.next(10_000), Err(None));
}

#[test]
fn a_caller_may_be_late_sooner() {
    let mut bench = Bench::new(Policy { levels: vec![delaying(0)], ..dynamic(2, 0) });
    bench.queue = Queue::new(Policy { levels: vec![delaying(1_000)], ..dynamic(2, 0) }, 1);
    bench.place(0, 1, 0, None).unwrap();
    bench.place(0, 2, 0, Some(10)).unwrap();
    bench.place(0, 1, 0, None).unwrap();
    assert_eq!(bench.next(10), Ok(vec![1, 1]));
    assert_eq!(bench.next(10), Ok(vec![2]));
}

proptest! {
    /// Whatever arrives when: each request is served once, never before one that came earlier to its level or that
    /// waits at a level before it, unless that one is of another shape, does not fit, or is late.
    #[test]
    fn priorities_are_obeyed(
        arrivals in prop::collection::vec((0u64..40, 1usize..4, 0u64..4, any::<bool>()), 1..60),
    ) {
        let mut policy = levels(3);
        policy.levels[1] = delaying(100);
        let mut bench = Bench::new(policy);
        let (mut now, mut served) = (0, 0);
        for (index, &(gap, rows, priority, look)) in arrivals.iter().enumerate() {
            now += gap;
            bench.place(now, rows, priority, None).unwrap();
            if !look && index + 1 < arrivals.len() {
                continue;
            }
            while let Next::Run(batch) = bench.queue.next(bench.at(now)) {
                served += batch.len();
                prop_assert!(batch.iter().map(|request| request.rows).sum::<usize>() <= 4);
                let place = |request: &Request| {
                    (request.level, request.late_at.is_some_and(|late| late <= bench.at(now)), request.enqueued)
                };
                prop_assert!(batch.is_sorted_by_key(place));
                // Whoever stays behind stands behind everybody who goes.
                let last = batch.iter().map(place).max().unwrap();
                let staying = bench.queue.levels.iter().flat_map(Level::iter).map(place).min();
                prop_assert!(staying.is_none_or(|staying| last <= staying));
            }
        }
        prop_assert_eq!(served, arrivals.len());
        prop_assert_eq!((bench.queue.len(), bench.queue.rows()), (0, 0));
    }
}
