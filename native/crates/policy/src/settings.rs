//! What settings are held to: each check says which field, what was found and what is expected.

use std::{fmt::Debug, time::Duration};

pub type Checked = Result<(), String>;

pub fn holds(field: &str, found: impl Debug, expected: &str, is_so: bool) -> Checked {
    if is_so { Ok(()) } else { Err(format!("{field} is {found:?}: expected {expected}")) }
}

pub fn at_least_one(field: &str, found: u32) -> Checked {
    holds(field, found, "at least 1", found > 0)
}

pub fn above_zero(field: &str, found: Duration) -> Checked {
    holds(field, found, "more than 0 s", !found.is_zero())
}

/// What is added to a moment, and so may not be without bounds.
pub fn time(field: &str, found: Duration) -> Checked {
    let is_so = !found.is_zero() && found <= Duration::from_secs(24 * 60 * 60);
    holds(field, found, "more than 0 s and at most a day", is_so)
}

/// NaN is in no range.
pub fn share(field: &str, found: f64) -> Checked {
    holds(field, found, "0 to 1", (0.0..=1.0).contains(&found))
}

pub fn ordered(small: (&str, Duration), large: (&str, Duration)) -> Checked {
    holds(large.0, large.1, &format!("no less than {}, which is {:?}", small.0, small.1), small.1 <= large.1)
}
