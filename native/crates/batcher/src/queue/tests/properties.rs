//! What holds whatever arrives.

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
            bench.push_shaped(now, rows, width);
            let at = bench.at(now);
            while let Next::Run(batch) = bench.queue.next(at) {
                prop_assert!(batch.iter().map(|request| request.rows).sum::<usize>() <= 8);
                prop_assert!(batch.iter().all(|request| request.stacks_with(&batch[0], &Ragged::default())));
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
