//! Numbers that are kept of every request: of its route (`requests`) and of the endpoints that were asked (`attempts`).
//! Whoever counts has them at hand since the plan was made; to record is a few atomic additions.

mod attempts;
mod durations;
mod number;
mod requests;

pub use attempts::{Attempts, Counted, Fate};
pub use durations::Durations;
pub use number::{Counter, Gauge};
pub use requests::Requests;
