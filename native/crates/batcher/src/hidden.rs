//! Inputs and outputs that a model has and its clients do not see: controls and states of sequences, and what is made
//! for a batch as a whole.

use crate::{ragged::batch_inputs, sequence::Control};
use infermesh_wire::{
    DataType, Error,
    proto::inference::{ModelConfig, ModelSequenceBatching, model_config::SchedulingChoice},
};

#[derive(Debug, Clone, PartialEq)]
pub struct Hidden {
    pub name: String,
    pub datatype: DataType,
    /// Without the batch dimension.
    pub dims: Vec<i64>,
    /// Whether there is one for the whole batch: then it has no batch dimension.
    pub of_batch: bool,
}

/// What follows the clients' inputs in the model's signature: controls, then states, then batch inputs.
///
/// Fails with INVALID_ARGUMENT naming the tensor and what is wrong with it.
pub fn hidden_inputs(config: &ModelConfig) -> Result<Vec<Hidden>, Error> {
    let sequences = sequences(config);
    let controls = sequences.into_iter().flat_map(|sequences| &sequences.control_input).map(|input| {
        let Control { name, datatype, .. } = Control::from_config(input, false)?;
        Ok(Hidden { name, datatype, dims: vec![1], of_batch: false })
    });
    let states = sequences.into_iter().flat_map(|sequences| &sequences.state);
    let states = states.map(|state| port(&state.input_name, state.data_type, &state.dims));
    let made = batch_inputs(config)?;
    let made = made.iter().map(|made| {
        Ok(Hidden { name: made.name.clone(), datatype: made.datatype, dims: made.dims(), of_batch: true })
    });
    controls.chain(states).chain(made).collect()
}

/// What follows the clients' outputs: the states that are not declared as outputs, too.
pub fn hidden_outputs(config: &ModelConfig) -> Result<Vec<Hidden>, Error> {
    let states = sequences(config).into_iter().flat_map(|sequences| &sequences.state);
    let hidden = states.filter(|state| config.output.iter().all(|output| output.name != state.output_name));
    hidden.map(|state| port(&state.output_name, state.data_type, &state.dims)).collect()
}

pub fn sequences(config: &ModelConfig) -> Option<&ModelSequenceBatching> {
    match &config.scheduling_choice {
        Some(SchedulingChoice::SequenceBatching(sequences)) => Some(sequences),
        _ => None,
    }
}

fn port(name: &str, data_type: i32, dims: &[i64]) -> Result<Hidden, Error> {
    let datatype = DataType::from_config(data_type)
        .ok_or_else(|| Error::invalid(format!("state '{name}' has no data_type")))?;
    Ok(Hidden { name: name.to_owned(), datatype, dims: dims.to_vec(), of_batch: false })
}
