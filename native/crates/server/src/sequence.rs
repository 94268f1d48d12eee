//! The request parameters that place a request in a sequence.

use crate::model::Version;
use infermesh_batcher::sequence::{SequenceId, Turn};
use infermesh_wire::{
    Error,
    request::{Parameter, Parameters},
};

/// Bytes.
const LONGEST_ID: usize = 128;

/// What a request says of its sequence; `None` where the model serves none.
///
/// Fails with INVALID_ARGUMENT for values of another type, and for a model of sequences if there is no id or more than
/// one row.
pub fn turn(version: &Version, parameters: &Parameters<'_>, rows: usize) -> Result<Option<Box<Turn>>, Error> {
    let (id, start, end) =
        (id(parameters)?, flag(parameters, "sequence_start")?, flag(parameters, "sequence_end")?);
    let Some(plan) = version.sequences() else { return Ok(None) };
    let model = &version.name;
    if rows > 1 {
        return Err(Error::invalid(format!(
            "inference request to model '{model}' must specify batch-size 1 due to requirements of sequence batcher"
        )));
    }
    let id = id.ok_or_else(|| {
        Error::invalid(format!(
            "inference request to model '{model}' must specify a non-zero or non-empty correlation ID"
        ))
    })?;
    plan.check(&id)?;
    Ok(Some(Box::new(Turn { id, start, end })))
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
