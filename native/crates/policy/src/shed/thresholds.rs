//! Up to which fill of a queue or limit each priority is let in: what is left beyond is kept for those before
//! it.

use crate::{
    priority::Priority,
    settings::{Checked, holds},
};

/// By priority, the share of all places that may be taken when one of it comes.
#[derive(Debug, Clone, PartialEq)]
pub struct Thresholds(pub [f64; Priority::COUNT]);

impl Default for Thresholds {
    /// All of it for 0, then 90 %, 75 % and half.
    fn default() -> Self {
        Self([1.0, 0.9, 0.75, 0.5])
    }
}

impl Thresholds {
    /// Fails with the field, what was found and what is expected.
    pub fn check(&self) -> Checked {
        for (number, share) in self.0.iter().enumerate() {
            let field = format!("thresholds[{number}]");
            holds(&field, share, "more than 0 and at most 1", *share > 0.0 && *share <= 1.0)?;
            let before = self.0[number.saturating_sub(1)];
            holds(
                &field,
                share,
                &format!("at most {before:?}, that of the priority before"),
                *share <= before,
            )?;
        }
        Ok(())
    }

    /// Whether one of this priority is let in where so many of all places are taken.
    pub fn admit(&self, priority: Priority, taken: usize, places: usize) -> bool {
        (taken as f64) < places as f64 * self.0[priority.number()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// How many of a priority are let in where nobody leaves.
    fn admitted(priority: u8, places: usize) -> usize {
        let priority = Priority::new(priority).unwrap();
        (0..2 * places + 2).take_while(|taken| Thresholds::default().admit(priority, *taken, places)).count()
    }

    #[test]
    fn what_is_left_is_kept_for_the_higher_priorities() {
        assert_eq!([0, 1, 2, 3].map(|priority| admitted(priority, 100)), [100, 90, 75, 50]);
    }

    #[test]
    fn even_few_places_let_everybody_in_while_they_are_empty() {
        assert_eq!([0, 1, 2, 3].map(|priority| admitted(priority, 1)), [1, 1, 1, 1]);
        assert_eq!([0, 1, 2, 3].map(|priority| admitted(priority, 4)), [4, 4, 3, 2]);
        assert_eq!([0, 1, 2, 3].map(|priority| admitted(priority, 0)), [0, 0, 0, 0]);
    }

    #[test]
    fn thresholds_that_are_wrong_say_so() {
        assert_eq!(Thresholds::default().check(), Ok(()));
        for (thresholds, expected) in [
            ([1.5, 1.0, 1.0, 1.0], "thresholds[0] is 1.5: expected more than 0 and at most 1"),
            ([1.0, 1.0, 1.0, 0.0], "thresholds[3] is 0.0: expected more than 0 and at most 1"),
            ([1.0, f64::NAN, 1.0, 1.0], "thresholds[1] is NaN: expected more than 0 and at most 1"),
            ([1.0, 0.5, 0.6, 0.1], "thresholds[2] is 0.6: expected at most 0.5, that of the priority before"),
        ] {
            assert_eq!(Thresholds(thresholds).check().unwrap_err(), expected);
        }
    }

    proptest! {
        #[test]
        fn nobody_is_refused_before_a_lower_priority(taken in 0usize..2_000, places in 0usize..2_000) {
            let admitted = [0, 1, 2, 3].map(|number| {
                Thresholds::default().admit(Priority::new(number).unwrap(), taken, places)
            });
            prop_assert!(admitted.is_sorted_by(|before, after| before >= after));
            prop_assert_eq!(admitted[0], taken < places);
        }
    }
}
