//! The request parameters that place a request in a sequence.

use crate::models::Version;
use infermesh_batcher::sequence::{SequenceId, Turn};
use infermesh_wire::{
    Error,
    request::{Parameter, Parameters},
};

/// Bytes.
const LONGEST_ID: usize = 128;

/// What a request says of its sequence; `None` where the model serves none.
///
/// Fails with INVALID_ARGUMENT for values of another type, and as `fit` does.
pub fn turn(version: &Version, parameters: &Parameters<'_>, rows: usize) -> Result<Option<Box<Turn>>, Error> {
    let (id, start, end) =
        (id(parameters)?, flag(parameters, "sequence_start")?, flag(parameters, "sequence_end")?);
    if !version.keeps_sequences() {
        return Ok(None);
    }
    fit(version, id.map(|id| Box::new(Turn { id, start, end })), rows)
}

/// Holds what a request says of its sequence against a model, which takes it if it serves sequences, or passes it on to
/// its members.
///
/// Fails with INVALID_ARGUMENT for a model of sequences if there is no id or more than one row.
pub fn fit(version: &Version, turn: Option<Box<Turn>>, rows: usize) -> Result<Option<Box<Turn>>, Error> {
    let Some(plan) = version.sequences() else { return Ok(turn.filter(|_| version.keeps_sequences())) };
    let model = &version.name;
    if rows > 1 {
        return Err(Error::invalid(format!(
            "inference request to model '{model}' must specify batch-size 1 due to requirements of sequence batcher"
        )));
    }
    let turn = turn.ok_or_else(|| {
        Error::invalid(format!(
            "inference request to model '{model}' must specify a non-zero or non-empty correlation ID"
        ))
    })?;
    plan.check(&turn.id)?;
    Ok(Some(turn))
}

fn id(parameters: &Parameters<'_>) -> Result<Option<SequenceId>, Error> {
    match parameters.get("sequence_id") {
        None | Some(Parameter::Int64(0) | Parameter::Uint64(0) | Parameter::String("")) => Ok(None),
        Some(Parameter::Int64(number)) => Ok(Some(SequenceId::Number(number as u64))),
        Some(Parameter::Uint64(number)) => Ok(Some(SequenceId::Number(number))),
        Some(Parameter::String(text)) if text.len() > LONGEST_ID => Err(Error::invalid(format!(
            "string correlation ID cannot be longer than {LONGEST_ID} characters, got {}",
            text.len()
        ))),
        Some(Parameter::String(text)) => Ok(Some(SequenceId::Text(text.into()))),
        Some(_) => Err(Error::invalid(
            "invalid value type for 'sequence_id' parameter, expected int64_param or string_param.",
        )),
    }
}

fn flag(parameters: &Parameters<'_>, name: &str) -> Result<bool, Error> {
    match parameters.get(name) {
        None => Ok(false),
        Some(Parameter::Bool(value)) => Ok(value),
        Some(_) => {
            Err(Error::invalid(format!("invalid value type for '{name}' parameter, expected bool_param.")))
        }
    }
}
