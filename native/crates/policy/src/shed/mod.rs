//! What is refused before it waits or is sent, so that the rest is served.
//!
//! `thresholds` looks at how full a place is, and refuses low priorities first; `admission` looks at how much
//! of what was sent has succeeded, and refuses a share of all.

pub mod admission;
pub mod thresholds;

pub use admission::Admission;
pub use thresholds::Thresholds;
