//! What the configuration says about a model's sequences.

use super::{Control, SequenceId, State};
use crate::{Tensor, hidden::sequences, ragged::Ragged};
use bytes::Bytes;
use infermesh_wire::{
    DataType, Error,
    proto::inference::{ModelConfig, ModelSequenceBatching, model_sequence_batching::StrategyChoice},
};
use smallvec::SmallVec;
use std::{path::Path, time::Duration};

/// Slots of one instance; each has memory of its own and is looked at for every batch.
const MOST_SLOTS: usize = 16_384;

/// How long a sequence may be silent where the configuration does not say.
const DEFAULT_IDLE: Duration = Duration::from_secs(1);

#[derive(Debug, Clone)]
pub struct Plan {
    pub model: String,
    /// Sequences that take part at a time, per instance.
    pub slots: usize,
    pub strategy: Strategy,
    /// How long a sequence may be silent before its slot is given to another.
    pub idle: Duration,
    pub controls: Vec<Control>,
    pub states: Vec<State>,
    /// Element types of the inputs that clients send.
    pub inputs: Vec<DataType>,
    /// How many outputs clients see; those of states follow.
    pub outputs: usize,
    pub ragged: Ragged,
}

/// Which sequences form a batch.
#[derive(Debug, Clone)]
pub enum Strategy {
    /// A sequence stays at one position of the batch; positions with nothing to run are marked as not ready.
    Direct {
        max_queue_delay: Duration,
        /// Share of the slots that need not wait for the delay; 0: whatever is there runs.
        minimum_slot_utilization: f32,
    },
    /// Whoever has waited longest, side by side.
    Oldest {
        max_batch_size: usize,
        /// In ascending order.
        preferred_batch_sizes: Vec<usize>,
        max_queue_delay: Duration,
        /// Whether nobody overtakes a request that does not fit the batch.
        preserve_ordering: bool,
    },
}

impl Plan {
    /// `None` for a model without sequences. `directory` is the model's own, which holds the files of initial states.
    ///
    /// Fails with INVALID_ARGUMENT naming what cannot be served.
    pub fn from_config(config: &ModelConfig, directory: &Path) -> Result<Option<Self>, Error> {
        let Some(sequences) = sequences(config) else { return Ok(None) };
        let batched = config.max_batch_size > 0;
        let max_batch_size = config.max_batch_size.max(1) as usize;
        let inputs = config.input.iter().map(|input| {
            DataType::from_config(input.data_type)
                .ok_or_else(|| Error::invalid(format!("input '{}' has no data_type", input.name)))
        });
        let mut hidden = config.output.len();
        let states = sequences.state.iter().map(|state| {
            let declared = config.output.iter().position(|output| output.name == state.output_name);
            let position = declared.unwrap_or(hidden);
            hidden += usize::from(declared.is_none());
            State::from_config(state, position, batched, directory)
        });
        let states = states.collect::<Result<_, _>>()?;
        Ok(Some(Self {
            model: config.name.clone(),
            slots: slots(sequences, max_batch_size)?,
            strategy: strategy(sequences, max_batch_size),
            idle: match sequences.max_sequence_idle_microseconds {
                0 => DEFAULT_IDLE,
                micros => Duration::from_micros(micros),
            },
            controls: sequences
                .control_input
                .iter()
                .map(|input| Control::from_config(input, batched))
                .collect::<Result<_, _>>()?,
            states,
            inputs: inputs.collect::<Result<_, Error>>()?,
            outputs: config.output.len(),
            ragged: Ragged::from_config(config),
        }))
    }

    /// Cuts the states off the outputs of one row, so that only what clients see is left.
    ///
    /// With `shared` the outputs are slices of a whole batch's, which would be held for as long as the state lives.
    pub fn split_states(&self, outputs: &mut SmallVec<[Tensor; 2]>, shared: bool) -> Vec<Tensor> {
        let owned = |state: &State| {
            let Tensor { shape, data } = &outputs[state.position];
            let data = if shared { Bytes::copy_from_slice(data) } else { data.clone() };
            Tensor { shape: shape.clone(), data }
        };
        let states = self.states.iter().map(owned).collect();
        outputs.truncate(self.outputs);
        states
    }

    /// Fails with INVALID_ARGUMENT for an id that the model cannot be told.
    pub fn check(&self, id: &SequenceId) -> Result<(), Error> {
        self.controls.iter().try_for_each(|control| control.check(id))
    }
}

fn slots(sequences: &ModelSequenceBatching, max_batch_size: usize) -> Result<usize, Error> {
    let slots = match &sequences.strategy_choice {
        Some(StrategyChoice::Oldest(oldest)) if oldest.max_candidate_sequences > 0 => {
            oldest.max_candidate_sequences as usize
        }
        _ => max_batch_size,
    };
    if slots > MOST_SLOTS {
        return Err(Error::invalid(format!(
            "{slots} sequences are to take part at a time, expected at most {MOST_SLOTS}"
        )));
    }
    Ok(slots)
}

fn strategy(sequences: &ModelSequenceBatching, max_batch_size: usize) -> Strategy {
    match &sequences.strategy_choice {
        None => Strategy::Direct { max_queue_delay: Duration::ZERO, minimum_slot_utilization: 0.0 },
        Some(StrategyChoice::Direct(direct)) => Strategy::Direct {
            max_queue_delay: Duration::from_micros(direct.max_queue_delay_microseconds),
            minimum_slot_utilization: direct.minimum_slot_utilization,
        },
        Some(StrategyChoice::Oldest(oldest)) => {
            let preferred = oldest.preferred_batch_size.iter().filter_map(|&size| usize::try_from(size).ok());
            let mut preferred_batch_sizes: Vec<usize> = preferred.collect();
            preferred_batch_sizes.sort_unstable();
            Strategy::Oldest {
                max_batch_size,
                preferred_batch_sizes,
                max_queue_delay: Duration::from_micros(oldest.max_queue_delay_microseconds),
                preserve_ordering: oldest.preserve_ordering,
            }
        }
    }
}
