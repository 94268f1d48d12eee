//! The better of two endpoints drawn at random: as good as to look at all of them, without the herd that runs
//! to the best (M. Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001).

use crate::chance::Chance;
use smallvec::SmallVec;

/// Draws before all endpoints are looked at: nearly always two are enough.
const DRAWS: usize = 4;

/// Whether an endpoint may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Available,
    /// Available, but this request was there already: only if nothing else is left.
    Tried,
    Unavailable,
}

/// One of `count` endpoints; none if all are unavailable.
pub fn pick(
    count: usize,
    chance: &mut Chance,
    standing: impl Fn(usize) -> Standing,
    cost: impl Fn(usize) -> f64,
) -> Option<usize> {
    let better = |one: usize, other: usize| if cost(other) < cost(one) { other } else { one };
    let mut first = None;
    for _ in 0..DRAWS.min(2 * count) {
        let drawn = chance.below(count);
        match first {
            _ if standing(drawn) != Standing::Available => {}
            None => first = Some(drawn),
            Some(first) if first != drawn => return Some(better(first, drawn)),
            Some(_) => {}
        }
    }
    [Standing::Available, Standing::Tried].into_iter().find_map(|wanted| {
        let candidates: SmallVec<[usize; 16]> =
            (0..count).filter(|index| standing(*index) == wanted).collect();
        match candidates.len() {
            0 => None,
            1 => Some(candidates[0]),
            many => {
                let one = chance.below(many);
                // Another one: the draw is among those that are left.
                let other = (one + 1 + chance.below(many - 1)) % many;
                Some(better(candidates[one], candidates[other]))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use Standing::{Available, Tried, Unavailable};
    use proptest::prelude::*;

    /// How often each is taken.
    fn taken(standings: &[Standing], costs: &[f64]) -> Vec<usize> {
        let (mut chance, mut taken) = (Chance::seeded(1), vec![0; standings.len()]);
        for _ in 0..10_000 {
            if let Some(index) =
                pick(standings.len(), &mut chance, |index| standings[index], |index| costs[index])
            {
                taken[index] += 1;
            }
        }
        taken
    }

    #[test]
    fn equal_endpoints_get_equal_parts() {
        let taken = taken(&[Available; 4], &[1.0; 4]);
        assert!(taken.iter().all(|count| (2_350..2_650).contains(count)), "{taken:?}");
    }

    #[test]
    fn the_better_of_two_is_taken() {
        assert_eq!(taken(&[Available; 2], &[2.0, 1.0]), [0, 10_000]);
        // Of n the best is in a pair with 2/n, the worst never wins one.
        let taken = taken(&[Available; 4], &[1.0, 2.0, 3.0, 4.0]);
        assert!((4_700..5_300).contains(&taken[0]) && taken[3] == 0, "{taken:?}");
    }

    #[test]
    fn an_unavailable_endpoint_is_never_taken() {
        let taken = taken(&[Available, Unavailable, Available], &[1.0, 0.0, 1.0]);
        assert!(taken[1] == 0 && taken[0] > 4_500 && taken[2] > 4_500, "{taken:?}");
    }

    #[test]
    fn one_that_was_tried_is_taken_only_if_nothing_else_is_left() {
        assert_eq!(taken(&[Tried, Available, Unavailable], &[0.0, 9.0, 0.0]), [0, 10_000, 0]);
        assert_eq!(taken(&[Tried, Unavailable, Unavailable], &[0.0, 9.0, 0.0]), [10_000, 0, 0]);
        let taken = taken(&[Tried, Tried, Unavailable], &[1.0, 2.0, 0.0]);
        assert_eq!(taken, [10_000, 0, 0]);
    }

    #[test]
    fn of_nothing_nothing_is_taken() {
        assert_eq!(taken(&[Unavailable; 3], &[0.0; 3]), [0, 0, 0]);
        assert_eq!(taken(&[], &[]), Vec::<usize>::new());
    }

    #[test]
    fn the_few_available_ones_of_many_share_the_load() {
        let mut standings = vec![Unavailable; 100];
        standings[10] = Available;
        standings[20] = Available;
        let taken = taken(&standings, &[1.0; 100]);
        assert!((4_700..5_300).contains(&taken[10]) && taken[10] + taken[20] == 10_000, "{taken:?}");
    }

    proptest! {
        /// Something is taken exactly if something may be, and it is of the best standing there is.
        #[test]
        fn the_best_standing_wins(standings in prop::collection::vec(0u8..3, 0..20), seed: u64) {
            let standings: Vec<Standing> =
                standings.iter().map(|kind| [Available, Tried, Unavailable][*kind as usize]).collect();
            let index = pick(standings.len(), &mut Chance::seeded(seed), |index| standings[index], |_| 1.0);
            let best = [Available, Tried].into_iter().find(|wanted| standings.contains(wanted));
            prop_assert_eq!(index.map(|index| standings[index]), best);
        }
    }
}
