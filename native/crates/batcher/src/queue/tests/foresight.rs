//! Requests that would be answered too late.

use super::*;
use infermesh_wire::Code;
use proptest::prelude::*;

/// Batches of up to 8 rows that take 2 ms and 1 ms per row, as the queue has learnt; the bench's clock starts then.
fn taught(policy: Policy) -> Bench {
    let mut bench = Bench::new(policy);
    let mut now = bench.start;
    for rows in (1..=8).cycle().take(40) {
        bench.queue.started(0, rows, now);
        let took = Duration::from_millis(2 + rows as u64);
        now += took;
        bench.queue.finished(0, Some(took), now);
    }
    bench.start = now;
    bench
}

const MS: u64 = 1_000;

fn due(bench: &mut Bench, now: u64, rows: usize, deadline: u64) -> Result<(), Error> {
    let deadline = bench.at(deadline);
    bench.push_with(now, rows, |request| request.deadline = Some(deadline))
}

fn slo(ms: u64) -> Policy {
    Policy { slo: Some(Duration::from_millis(ms)), ..dynamic(8, 0) }
}

#[test]
fn a_request_that_would_be_late_is_refused_at_once() {
    let mut bench = taught(dynamic(8, 0));
    bench.queue.started(0, 8, bench.start);
    // Behind the batch that runs: 10 ms; with three rows of its own: 15 ms. Less than 85 % of the time, with 5 %.
    let error = due(&mut bench, 0, 3, 18 * MS).unwrap_err();
    assert_eq!(error.code, Code::Unavailable);
    assert_eq!(error.message, "Request would miss its deadline: 15.0 ms are predicted, 18.0 ms are left");
    assert!(error.retry_is_safe());
    due(&mut bench, 0, 3, 19 * MS).unwrap();
    // Seven rows make ten with those three: the second batch after the one that runs.
    assert!(due(&mut bench, 0, 7, 30 * MS).is_err());
    due(&mut bench, 0, 7, 40 * MS).unwrap();
    bench.push(0, 8);
}

#[test]
fn an_objective_is_everybodys_deadline() {
    let mut bench = taught(slo(26));
    bench.queue.started(0, 8, bench.start);
    bench.place(0, 8, 0, None).unwrap();
    let error = bench.place(0, 1, 0, None).unwrap_err();
    assert_eq!(error.message, "Request would miss its slo_ms: 23.0 ms are predicted, 26.0 ms are left");
    // Its own deadline is sooner still.
    let error = due(&mut bench, 0, 1, 5 * MS).unwrap_err();
    assert!(error.message.starts_with("Request would miss its deadline: "), "{error}");
}

#[test]
fn who_would_expire_before_it_starts_need_not_wait_for_it() {
    let level = LevelPolicy { timeout: Some(Duration::from_millis(9)), ..LevelPolicy::default() };
    let mut bench = taught(Policy { levels: vec![level], ..dynamic(8, 0) });
    bench.place(0, 1, 0, None).unwrap();
    bench.queue.started(0, 8, bench.start);
    let error = bench.place(0, 1, 0, None).unwrap_err();
    assert_eq!(error.message, "Request would miss its queue timeout: 10.0 ms are predicted, 9.0 ms are left");
}

#[test]
fn only_what_stands_before_a_request_counts() {
    let mut bench = taught(Policy { levels: vec![LevelPolicy::default(); 2], ..slo(26) });
    bench.queue.started(0, 8, bench.start);
    bench.place(0, 8, 2, None).unwrap();
    assert!(bench.place(0, 1, 2, None).is_err());
    bench.place(0, 1, 1, None).unwrap();
}

#[test]
fn without_knowledge_everything_is_admitted() {
    let mut bench = Bench::new(slo(1));
    bench.queue.started(0, 8, bench.start);
    (0..100).for_each(|_| bench.place(0, 8, 0, None).unwrap());
}

#[test]
fn an_idle_model_refuses_clear_misses_only() {
    let mut bench = taught(dynamic(8, 0));
    // It takes 10 ms, give or take 5 %.
    assert!(due(&mut bench, 0, 8, 9_400).is_err());
    due(&mut bench, 0, 8, 9_600).unwrap();
    assert_eq!(bench.next(0), Ok(vec![8]));
    assert_eq!(bench.refused, []);
}

#[test]
fn a_prediction_that_is_old_is_checked_with_one_request() {
    let mut bench = taught(slo(5));
    assert!(bench.place(0, 8, 0, None).is_err());
    let later = 2_000 * MS;
    bench.place(later, 8, 0, None).unwrap();
    assert!(bench.place(later, 8, 0, None).is_err());
    assert_eq!(bench.next(later), Ok(vec![8]));
    assert_eq!(bench.refused, []);
}

#[test]
fn who_can_no_longer_make_it_is_refused_and_does_not_run() {
    let mut bench = taught(slo(20));
    bench.place(0, 1, 0, None).unwrap();
    bench.place(10 * MS, 2, 0, None).unwrap();
    // The first would be done 21 ms after it came.
    assert_eq!(bench.next(18 * MS), Ok(vec![2]));
    assert_eq!(
        bench.refused,
        [(1, "Request would miss its slo_ms: 3.0 ms are predicted, 2.0 ms are left".to_owned())]
    );
}

#[test]
fn a_batch_is_as_large_as_its_oldest_request_can_bear() {
    let mut bench = taught(slo(20));
    (0..7).for_each(|at| bench.place(at, 1, 0, None).unwrap());
    // 8 ms are left: 2 ms and five rows, less the margin.
    assert_eq!(bench.next(12 * MS), Ok(vec![1; 5]));
    assert_eq!(bench.next(12 * MS), Ok(vec![1; 2]));
    assert_eq!(bench.refused, []);
}

#[test]
fn a_crowd_does_not_run_in_small_batches_for_the_sake_of_its_oldest() {
    let mut bench = taught(slo(20));
    bench.place(0, 1, 0, None).unwrap();
    (0..9).for_each(|_| bench.place(10 * MS, 1, 0, None).unwrap());
    // The oldest has time for two rows.
    assert_eq!(bench.next(16 * MS), Ok(vec![1; 8]));
    assert_eq!(bench.refused.len(), 1);
}

#[test]
fn company_is_awaited_only_while_there_is_time() {
    let mut bench = taught(dynamic(8, 1_000 * MS));
    due(&mut bench, 0, 1, 100 * MS).unwrap();
    // A full batch takes 10 ms and a margin of 5 %.
    assert_eq!(bench.next(0), Err(Some(89_500)));
    assert_eq!(bench.next(90 * MS), Ok(vec![1]));
}

#[test]
fn the_delay_follows_utilisation_within_both_bounds() {
    let wait = |policy: Policy| {
        let mut bench = taught(policy);
        bench.place(0, 1, 0, None).unwrap();
        bench.next(0)
    };
    // Taught without a pause, over 0.26 s: utilisation is nearly a quarter.
    let Err(Some(tuned)) = wait(slo(110)) else { panic!("it does not wait") };
    assert!((500..2_000).contains(&tuned), "{tuned}");
    assert_eq!(wait(Policy { max_queue_delay: Duration::from_micros(50), ..slo(110) }), Err(Some(50)));
    // No time is left beside a full batch.
    assert_eq!(wait(slo(10)), Ok(vec![1]));
}

proptest! {
    /// Whatever the limits: a request runs once or is refused once or expires, and what runs could be in time.
    #[test]
    fn nothing_is_lost_and_nothing_hopeless_runs(
        arrivals in prop::collection::vec((0u64..3_000, 1usize..8, prop::option::of(0u64..60_000)), 1..80),
        objective in prop::option::of(1u64..60),
        levels in 1usize..4,
    ) {
        let mut policy = Policy { levels: vec![LevelPolicy::default(); levels], ..dynamic(8, 0) };
        policy.slo = objective.map(Duration::from_millis);
        let (mut bench, mut now, mut free_at) = (taught(policy), 0, None);
        let (mut refused, mut ran, mut cut) = (0, 0, 0);
        let total = arrivals.len();
        for (index, (gap, rows, deadline)) in arrivals.into_iter().chain([(100_000, 1, None)]).enumerate() {
            now += gap;
            if free_at.is_some_and(|(free_at, _)| free_at <= now)
                && let Some((free_at, took)) = free_at.take()
            {
                bench.queue.finished(0, Some(took), bench.at(free_at));
            }
            if index < total {
                let deadline = deadline.map(|left| bench.at(now + left));
                let level = index % levels;
                let pushed = bench.push_with(now, rows, |it| (it.deadline, it.level) = (deadline, level));
                refused += usize::from(pushed.is_err());
            }
            let before = bench.queue.len();
            let (mut out, at) = (0, bench.at(now));
            while free_at.is_none() || index == total {
                match bench.queue.next(at) {
                    Next::Refuse(batch) => (out, refused) = (out + batch.len(), refused + batch.len()),
                    Next::Run(batch) => {
                        (out, ran) = (out + batch.len(), ran + batch.len());
                        let rows = batch.iter().map(|request| request.rows).sum::<usize>();
                        prop_assert!(rows <= 8);
                        let took = Duration::from_millis(2 + rows as u64);
                        for request in batch.iter().filter(|request| !request.probe) {
                            let alone = Duration::from_millis(2 + request.rows as u64).mul_f64(0.94);
                            prop_assert!(request.deadline.is_none_or(|deadline| at + alone <= deadline));
                        }
                        bench.queue.started(0, rows, at);
                        free_at = Some((now + took.as_micros() as u64, took));
                    }
                    Next::Wait(until) => {
                        prop_assert!(until > at);
                        break;
                    }
                    Next::Empty => break,
                }
            }
            // What the queue let go of without a word was past its own deadline.
            cut += before - out - bench.queue.len();
        }
        let left = bench.queue.drain().len();
        prop_assert_eq!(refused + ran + cut + left, total);
        prop_assert_eq!(bench.queue.rows(), 0);
    }
}
