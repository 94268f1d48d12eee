//! Sizes, delays, shapes, and requests that were given up.

use super::*;
use crate::Expiry;
use infermesh_wire::{
    Code,
    proto::inference::{DataType, ModelConfig, ModelInput, ModelParameter},
};

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
        bench.push_shaped(0, rows, width);
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
    let level = LevelPolicy { max_queue_size: 2, ..LevelPolicy::default() };
    let mut bench = Bench::new(Policy { levels: vec![level], ..dynamic(8, 0) });
    bench.push(0, 1);
    bench.push(0, 2);
    let error = bench.push_with(0, 3, |_| {}).unwrap_err();
    assert_eq!((error.code, &*error.message), (Code::Unavailable, "Exceeds maximum queue size"));
    bench.give_up(0);
    // It does not look again for every request that it refuses.
    assert!(bench.push_with(999, 3, |_| {}).is_err());
    bench.push(1_000, 4);
    assert_eq!(bench.next(1_000), Ok(vec![2, 4]));
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
    let deadline = bench.at(500);
    bench.push_with(0, 1, |request| request.deadline = Some(deadline)).unwrap();
    bench.push(0, 2);
    assert_eq!(bench.next(499), Err(Some(1_000)));
    assert_eq!(bench.next(1_000), Ok(vec![2]));
}

#[test]
fn a_request_runs_or_expires_but_never_both() {
    let mut bench = Bench::new(dynamic(8, 0));
    let expiries: Vec<Expiry> = (0..3).map(|_| Expiry::new(bench.at(500))).collect();
    for (expiry, rows) in expiries.iter().zip(1..) {
        bench.push_with(0, rows, |request| request.expiry = Some(expiry.clone())).unwrap();
    }
    // The caller of the first was quicker than the queue.
    assert!(expiries[0].claim());
    assert_eq!(bench.next(499), Ok(vec![2, 3]));
    assert!(!expiries[1].claim());
}

#[test]
fn an_expired_request_never_runs() {
    let mut bench = Bench::new(dynamic(8, 0));
    let expiry = Expiry::new(bench.at(500));
    bench.push_with(0, 1, |request| request.expiry = Some(expiry)).unwrap();
    assert_eq!(bench.next(500), Err(None));
}

/// Of a model whose only input is ragged.
fn ragged(padding: Option<&str>) -> Policy {
    let input = ModelInput {
        name: "x".into(),
        data_type: DataType::TypeInt32 as i32,
        allow_ragged_batch: true,
        ..Default::default()
    };
    let parameter =
        |value: &str| ("ragged_padding".to_owned(), ModelParameter { string_value: value.into() });
    let config = ModelConfig {
        input: vec![input],
        parameters: padding.map(parameter).into_iter().collect(),
        ..Default::default()
    };
    Policy { ragged: Ragged::from_config(&config), ..dynamic(8, 0) }
}

#[test]
fn ragged_shapes_share_a_batch() {
    for padding in [None, Some("0")] {
        let mut bench = Bench::new(ragged(padding));
        [3, 1, 7].into_iter().for_each(|width| bench.push_shaped(0, 2, width));
        assert_eq!(bench.next(0), Ok(vec![2, 2, 2]));
    }
}

#[test]
fn what_would_be_mostly_padding_stays_behind() {
    let mib = 1 << 20;
    let widths = [10 * mib, 1, 1, 10 * mib];
    let mut bench = Bench::new(ragged(Some("0")));
    widths.into_iter().for_each(|width| bench.push_shaped(0, 1, width));
    // 40 MiB of padding are fine, 80 are not.
    assert_eq!((bench.next(0), bench.next(0)), (Ok(vec![1, 1, 1]), Ok(vec![1])));
    let mut bench = Bench::new(ragged(None));
    widths.into_iter().for_each(|width| bench.push_shaped(0, 1, width));
    assert_eq!(bench.next(0), Ok(vec![1, 1, 1, 1]));
}

#[test]
fn who_leaves_an_input_out_keeps_among_those_who_do() {
    for policy in [dynamic(8, 0), ragged(None), ragged(Some("0"))] {
        let mut bench = Bench::new(policy);
        for rows in 1..=4 {
            let absent = rows % 2 == 0;
            let leave_out = |request: &mut Request| request.inputs[0] = Tensor::absent();
            bench
                .push_with(0, rows, |request| {
                    if absent {
                        leave_out(request)
                    }
                })
                .unwrap();
        }
        assert_eq!((bench.next(0), bench.next(0)), (Ok(vec![1, 3]), Ok(vec![2, 4])));
    }
}
