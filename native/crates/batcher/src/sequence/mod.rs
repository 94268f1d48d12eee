//! Requests that belong together: each sequence has a slot of one instance for as long as it lives, and its requests
//! run there one after the other. Pure, as `queue` is: the time is an argument.
//!
//! `plan` is what the configuration says, `slot` one sequence, `choose` forms batches, `rows` completes them with what
//! the model is told besides the callers' inputs: `control`s and `state`s.

mod choose;
mod control;
mod plan;
mod rows;
mod sequencer;
mod slot;
mod state;
#[cfg(test)]
mod tests;
mod turn;
mod upkeep;

pub use control::Control;
pub use plan::{Plan, Strategy};
pub use sequencer::{Concerns, Sequencer};
pub use state::State;
pub use turn::{SequenceId, Turn};
