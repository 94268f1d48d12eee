//! Inputs whose shapes may differ between the requests of a batch (`allow_ragged_batch`).
//!
//! Either they are laid end to end without their shapes, and what tells one from the next are `batch_input`s that are
//! made for the batch; or each is padded (`pad`, with the value of `padding`) to the largest, so that the model gets an
//! ordinary batch. `share` gives each request its part of an output whose shape follows such an input.
//!
//! `plan` is what the configuration says, for the moment at which a batch runs; `Ragged` is the little that is asked
//! while it is formed, and `extent` keeps padding within bounds then.

mod batch_input;
mod extent;
mod pad;
mod padding;
mod plan;
mod share;
mod walk;

pub use batch_input::{BatchInput, batch_inputs};
pub use extent::Extent;
pub use padding::{is_padded, is_padding};
pub use plan::{Plan, Way};

pub(crate) use pad::{Pad, largest};

use crate::Request;
use infermesh_wire::{
    DataType,
    proto::inference::{ModelConfig, ModelInput},
};

/// The inputs in which requests of one batch may differ in shape, by their position. Empty for most models.
#[derive(Debug, Clone, Default)]
pub struct Ragged(Vec<Mix>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mix {
    /// All dimensions but the first are equal.
    Equal,
    EndToEnd,
    /// To the largest, which costs so many bytes per element at least.
    Padded(usize),
}

impl Ragged {
    pub fn from_config(config: &ModelConfig) -> Self {
        if config.input.iter().all(|input| !input.allow_ragged_batch) {
            return Self::default();
        }
        Self(config.input.iter().map(|input| mix(config, input)).collect())
    }

    pub fn includes(&self, input: usize) -> bool {
        self.0.get(input).is_some_and(|mix| *mix != Mix::Equal)
    }

    /// What a batch that begins with this request is padded to; `None` where nothing is.
    pub fn extent(&self, first: &Request) -> Option<Extent> {
        let padded = self.0.iter().enumerate().filter_map(|(input, mix)| match mix {
            Mix::Padded(bytes) => Some((input, *bytes)),
            _ => None,
        });
        Extent::of(padded, first)
    }
}

fn mix(config: &ModelConfig, input: &ModelInput) -> Mix {
    if !input.allow_ragged_batch {
        return Mix::Equal;
    }
    if !is_padded(config, &input.name) {
        return Mix::EndToEnd;
    }
    // A string has its length in front.
    Mix::Padded(DataType::from_config(input.data_type).and_then(DataType::size).unwrap_or(4))
}
