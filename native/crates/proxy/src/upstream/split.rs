//! Which cluster a request goes to, where a share of a cluster's requests goes to others.

use super::cluster::Cluster;
use crate::proto;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// All requests, as shares are counted.
const ALL: u64 = 1_000_000;

/// Its multiples, without whole `ALL`s, are spread evenly from the first on: no partial quotient of `STEP / ALL` is above 3, and
/// so the first share is never off by 4 requests. They meet each number below `ALL` once before one comes again, since the two have
/// no common divisor: of a million requests a share is exact.
const STEP: u64 = 579_799;

/// Shares of one cluster's requests; counted for all network threads together.
pub struct Split {
    targets: Vec<Target>,
    /// Requests so far. The first is number 1, since 0 would always go away.
    count: AtomicU64,
}

struct Target {
    cluster: Arc<Cluster>,
    millionths: u32,
    /// Numbers below it, and not below that of the target before, are its own.
    below: u64,
}

impl Split {
    /// `None` if nothing is split; `whole` are the clusters whose requests are not. Fails with the field that is wrong.
    pub fn new(given: &proto::Cluster, whole: &HashMap<&str, Arc<Cluster>>) -> Result<Option<Self>, String> {
        let mut targets: Vec<Target> = Vec::new();
        for (index, split) in given.split.iter().enumerate() {
            let within = |why: String| format!("split[{index}].{why}");
            let name = &split.cluster;
            if *name == given.name {
                return Err(within(format!("cluster: found '{name}' itself, expected another cluster")));
            }
            if targets.iter().any(|target| target.cluster.name == *name) {
                return Err(within(format!("cluster: found '{name}' again, expected another cluster")));
            }
            let cluster = whole.get(&name[..]).cloned().ok_or_else(|| {
                let expected = "expected a cluster whose requests are not split";
                within(format!("cluster: found '{name}', {expected}"))
            })?;
            let before = targets.last().map_or(0, |target| target.below);
            let below = before + u64::from(split.millionths);
            if split.millionths == 0 || below > ALL {
                let expected = format!("expected 1 to {}, which are left", ALL - before);
                return Err(within(format!("millionths: found {}, {expected}", split.millionths)));
            }
            targets.push(Target { cluster, millionths: split.millionths, below });
        }
        Ok((!targets.is_empty()).then(|| Self { targets, count: AtomicU64::new(1) }))
    }

    /// Where the next request goes; `None` if it stays.
    pub fn next(&self) -> Option<&Arc<Cluster>> {
        let number = self.count.fetch_add(1, Relaxed) % ALL * STEP % ALL;
        self.targets.iter().find(|target| number < target.below).map(|target| &target.cluster)
    }

    /// Names of clusters, and what they get, from 0 to 1.
    pub fn shares(&self) -> impl Iterator<Item = (&str, f64)> {
        self.targets.iter().map(|it| (&it.cluster.name[..], f64::from(it.millionths) / ALL as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_never_far_off_and_exact_in_the_end() {
        for share in [1, 1_000, 100_000, 333_333, 500_000, 999_999] {
            let mut gone = 0;
            for made in 1..=ALL {
                gone += u64::from(made % ALL * STEP % ALL < share);
                assert!((gone * ALL).abs_diff(made * share) < 4 * ALL, "{gone} of {made} at {share}");
            }
            assert_eq!(gone, share);
        }
    }
}
