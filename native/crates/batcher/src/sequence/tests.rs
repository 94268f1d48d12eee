//! Sequences over an injected clock: nothing is mixed up, overtaken or lost.

mod bench;
mod invariants;

use super::*;
use crate::queue::{DEFAULT_MAX_QUEUE_SIZE, Next};
use bench::{Bench, IDLE, direct, oldest};
use infermesh_wire::Code;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

fn started(message: &str) -> String {
    format!(
        "inference request for sequence {message} to model 'm' must specify the START flag on the first request of the sequence"
    )
}

#[test]
fn a_slot_is_kept_and_a_gap_is_a_row_that_is_not_ready() {
    let mut bench = Bench::new(direct(4), 1);
    for id in 1..=3 {
        bench.push(id, "start").unwrap();
    }
    assert_eq!(bench.run(0), [Some(1), Some(2), Some(3)]);
    bench.push(3, "").unwrap();
    assert_eq!(bench.run(0), [None, None, Some(3)]);
    bench.push(1, "").unwrap();
    bench.push(3, "end").unwrap();
    assert_eq!(bench.run(0), [Some(1), None, Some(3)]);
    // The end leaves its slot to who comes next.
    bench.push(4, "start").unwrap();
    bench.push(2, "").unwrap();
    assert_eq!(bench.run(0), [None, Some(2), Some(4)]);
}

#[test]
fn a_sequence_runs_one_request_at_a_time_in_its_order() {
    let mut bench = Bench::new(oldest(4), 1);
    bench.push(1, "start").unwrap();
    bench.push(1, "").unwrap();
    bench.push(1, "end").unwrap();
    for _ in 0..3 {
        assert_eq!(bench.run(0), [Some(1)]);
    }
    assert_eq!(bench.run(0), []);
}

#[test]
fn what_was_not_started_is_refused_and_so_is_what_has_ended() {
    let mut bench = Bench::new(direct(1), 1);
    let error = bench.push(7, "").unwrap_err();
    assert_eq!((error.code, error.message.into_owned()), (Code::InvalidArgument, started("7")));
    bench.push(7, "start end").unwrap();
    assert_eq!(bench.push(7, "").unwrap_err().message, started("7"));
    bench.push(7, "start").unwrap();
}

#[test]
fn sequences_beyond_the_slots_wait_in_the_order_of_their_starts() {
    let mut bench = Bench::new(direct(2), 1);
    for id in 1..=4 {
        bench.push(id, "start").unwrap();
        bench.push(id, "end").unwrap();
    }
    assert_eq!(bench.run(0), [Some(1), Some(2)]);
    assert_eq!(bench.run(0), [Some(1), Some(2)]);
    assert_eq!(bench.run(0), [Some(3), Some(4)]);
    assert_eq!(bench.run(0), [Some(3), Some(4)]);
    assert_eq!(bench.sequencer.pending(), 0);
}

#[test]
fn an_idle_sequence_makes_room_and_has_to_start_again() {
    let mut bench = Bench::new(direct(1), 1);
    bench.push(1, "start").unwrap();
    assert_eq!(bench.run(0), [Some(1)]);
    bench.push(2, "start").unwrap();
    bench.now += IDLE / 2;
    let Next::Wait(until) = bench.next(0) else { panic!("the slot is taken") };
    assert_eq!(until, bench.now + IDLE / 2);
    bench.now = until;
    assert_eq!(bench.run(0), [Some(2)]);
    assert_eq!(bench.push(1, "").unwrap_err().message, started("1"));
}

#[test]
fn a_sequence_is_not_idle_while_a_request_waits_or_runs() {
    let mut bench = Bench::new(direct(1), 1);
    bench.push(1, "start").unwrap();
    bench.now += IDLE * 2;
    let Next::Run(_) = bench.next(0) else { panic!("it waits") };
    bench.now += IDLE * 2;
    bench.push(1, "").unwrap();
    bench.finish(0);
    assert_eq!(bench.run(0), [Some(1)]);
    bench.now += IDLE;
    assert!(bench.push(1, "").is_err());
}

#[test]
fn each_sequence_reads_the_state_it_wrote_and_a_start_reads_the_initial_one() {
    let mut bench = Bench::new(direct(2), 1);
    for (id, flags) in [(1, "start"), (2, "start"), (1, ""), (1, ""), (2, ""), (1, "start"), (1, "")] {
        bench.push(id, flags).unwrap();
    }
    let mut read = Vec::new();
    while !bench.run(0).is_empty() {
        read.push(bench.states(0));
    }
    let expected: [&[_]; 5] = [&[Some(0), Some(0)], &[Some(1), Some(1)], &[Some(2)], &[Some(0)], &[Some(1)]];
    assert_eq!(read, expected);
}

#[test]
fn a_batch_that_fails_leaves_the_state_as_it_was() {
    let mut bench = Bench::new(direct(1), 1);
    for flags in ["start", "", ""] {
        bench.push(1, flags).unwrap();
    }
    bench.run(0);
    let Next::Run(_) = bench.next(0) else { panic!("it waits") };
    bench.sequencer.finished(0, Vec::new(), bench.now);
    bench.run(0);
    assert_eq!(bench.states(0), [Some(1)]);
}

#[test]
fn a_sequence_ends_with_a_request_that_is_given_up() {
    for then_starts_again in [false, true] {
        let mut bench = Bench::new(direct(1), 1);
        bench.push(1, "start").unwrap();
        bench.run(0);
        bench.push(1, "").unwrap();
        bench.push(1, "").unwrap();
        if then_starts_again {
            bench.push(1, "start").unwrap();
        }
        bench.give_up(1);
        let Next::Refuse(refused) = bench.next(0) else { panic!("the third cannot run") };
        assert_eq!(refused.len(), 1);
        assert_eq!(refused[0].1.message, started("1"));
        assert_eq!(bench.run(0), vec![Some(1); usize::from(then_starts_again)]);
        assert_eq!(bench.push(1, "").is_ok(), then_starts_again);
        assert_eq!(bench.sequencer.pending(), usize::from(then_starts_again));
    }
}

#[test]
fn a_given_up_end_makes_room() {
    let mut bench = Bench::new(direct(1), 1);
    bench.push(1, "start").unwrap();
    bench.run(0);
    bench.push(1, "end").unwrap();
    bench.push(2, "start").unwrap();
    bench.give_up(1);
    assert_eq!(bench.run(0), [Some(2)]);
}

#[test]
fn a_sequence_that_is_given_up_in_the_backlog_takes_no_slot() {
    let mut bench = Bench::new(direct(1), 1);
    bench.push(1, "start").unwrap();
    bench.push(2, "start").unwrap();
    bench.push(3, "start").unwrap();
    bench.give_up(1);
    bench.push(1, "end").unwrap();
    assert_eq!(bench.run(0), [Some(1)]);
    assert_eq!(bench.run(0), [Some(1)]);
    assert_eq!(bench.run(0), [Some(3)]);
    assert!(bench.push(2, "").is_err());
}

#[test]
fn what_was_given_up_takes_no_room_from_who_still_waits() {
    let mut bench = Bench::new(direct(1), 1);
    for id in 0..DEFAULT_MAX_QUEUE_SIZE {
        bench.push(id as u64, "start").unwrap();
    }
    let full = bench.push(1 << 20, "start").unwrap_err();
    assert_eq!((full.code, &*full.message), (Code::Unavailable, "Exceeds maximum queue size"));
    (1..100).for_each(|push| bench.give_up(push));
    bench.push(1 << 20, "start").unwrap();
    assert_eq!(bench.sequencer.pending(), DEFAULT_MAX_QUEUE_SIZE - 99 + 1);
    assert!(bench.push(1, "").is_err());
    bench.push(100, "end").unwrap();
}

#[test]
fn a_request_that_expires_while_it_is_chosen_is_given_up() {
    let mut bench = Bench::new(direct(1), 1);
    bench.expiring(1, "start").claim();
    assert_eq!(bench.run(0), []);
    assert!(bench.push(1, "").is_err());
    assert_eq!(bench.sequencer.pending(), 0);
}

#[test]
fn sequences_spread_over_instances_and_stay() {
    let mut bench = Bench::new(direct(2), 2);
    for id in 1..=4 {
        bench.push(id, "start").unwrap();
    }
    assert_eq!((bench.run(0), bench.run(1)), (vec![Some(1), Some(3)], vec![Some(2), Some(4)]));
    assert_eq!(bench.push(4, "").unwrap(), Concerns::Instance(1));
    assert_eq!(bench.push(5, "start").unwrap(), Concerns::Everybody);
    assert_eq!((bench.run(0), bench.run(1)), (vec![], vec![None, Some(4)]));
}

#[test]
fn a_direct_batch_waits_until_enough_slots_are_ready() {
    let mut plan = direct(4);
    plan.strategy = Strategy::Direct { max_queue_delay: 10 * MS, minimum_slot_utilization: 0.5 };
    let mut bench = Bench::new(plan, 1);
    bench.push(1, "start").unwrap();
    let due = bench.now + 10 * MS;
    assert!(matches!(bench.next(0), Next::Wait(until) if until == due));
    bench.now += MS;
    bench.push(2, "start").unwrap();
    assert_eq!(bench.run(0), [Some(1), Some(2)]);
    bench.push(2, "").unwrap();
    bench.now += 10 * MS;
    assert_eq!(bench.run(0), [None, Some(2)]);
    bench.push(2, "").unwrap();
    bench.sequencer.wind_down();
    assert_eq!(bench.run(0).last(), Some(&Some(2)));
}

#[test]
fn oldest_takes_who_waits_longest_and_prefers_sizes() {
    let mut plan = oldest(8);
    plan.strategy = Strategy::Oldest {
        max_batch_size: 4,
        preferred_batch_sizes: vec![2],
        max_queue_delay: 10 * MS,
        preserve_ordering: false,
    };
    let mut bench = Bench::new(plan, 1);
    for id in [3, 1, 2] {
        bench.push(id, "start").unwrap();
        bench.now += MS;
    }
    assert_eq!(bench.run(0), [Some(3), Some(1)]);
    assert!(matches!(bench.next(0), Next::Wait(_)));
    bench.now += 10 * MS;
    assert_eq!(bench.run(0), [Some(2)]);
}

#[test]
fn another_shape_waits_for_a_batch_of_its_own() {
    for (in_order, first, second) in [(false, vec![1, 3], vec![2]), (true, vec![1], vec![2])] {
        let mut plan = oldest(4);
        plan.strategy = Strategy::Oldest {
            max_batch_size: 4,
            preferred_batch_sizes: Vec::new(),
            max_queue_delay: Duration::ZERO,
            preserve_ordering: in_order,
        };
        let mut bench = Bench::new(plan, 1);
        for (id, width) in [(1, 1), (2, 2), (3, 1)] {
            bench.push_wide(id, "start", width).unwrap();
            bench.now += MS;
        }
        assert_eq!(bench.run(0), first.into_iter().map(Some).collect::<Vec<_>>());
        assert_eq!(bench.run(0), second.into_iter().map(Some).collect::<Vec<_>>());
    }
    let mut bench = Bench::new(direct(3), 1);
    for (id, width) in [(1, 1), (2, 2), (3, 1)] {
        bench.push_wide(id, "start", width).unwrap();
        bench.now += MS;
    }
    assert_eq!(bench.run(0), [Some(1), None, Some(3)]);
    assert_eq!(bench.run(0), [None, Some(2)]);
}

#[test]
fn winding_down_gives_slots_to_whoever_waits() {
    let mut bench = Bench::new(direct(1), 2);
    for id in 1..=5 {
        bench.push(id, "start").unwrap();
    }
    bench.sequencer.wind_down();
    let mut ran: Vec<_> = (0..6).flat_map(|turn| bench.run(turn % 2)).collect();
    ran.sort_unstable();
    assert_eq!(ran, (1..=5).map(Some).collect::<Vec<_>>());
    assert!(bench.sequencer.is_done(0) && bench.sequencer.is_done(1));
}
