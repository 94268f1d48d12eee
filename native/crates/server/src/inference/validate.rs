//! Holds a request against the model's signature. Messages follow Triton's, which clients already match on.

use super::{
    outputs::{Outputs, wanted},
    sequence,
};
use crate::{
    memory::shared_memory::{Regions, Window},
    models::{Port, Version},
};
use bytes::Bytes;
use infermesh_batcher::{Tensor, sequence::Turn};
use infermesh_wire::{
    DataType, Error, contents,
    datatype::elements,
    request::{Few, InferRequest, InputTensor, Parameter, Parameters},
    rows::count,
};
use smallvec::SmallVec;
use std::{collections::HashSet, time::Duration};

/// A year: longer waits are as good as none, and would overflow the clock.
const MAX_TIMEOUT_MICROS: u64 = 365 * 24 * 3600 * 1_000_000;

/// A request that the model can run.
#[derive(Debug)]
pub struct Valid {
    /// In the order of the model's signature.
    pub inputs: SmallVec<[Tensor; 2]>,
    /// Size of the first dimension, 1 where the model does not batch.
    pub rows: usize,
    pub outputs: Outputs,
    /// Where the model serves sequences.
    pub turn: Option<Box<Turn>>,
    /// Level of priority from 1, served first; 0 is the model's default.
    pub priority: u64,
    /// How long the caller lets it wait for an instance.
    pub timeout: Option<Duration>,
}

/// Fails with INVALID_ARGUMENT, or NOT_FOUND for shared memory that is not registered, naming tensor and model.
///
/// `message` is the buffer that `request` borrows from: tensors become slices of it.
pub fn validate(
    version: &Version,
    request: &InferRequest<'_>,
    message: &Bytes,
    regions: &Regions,
) -> Result<Valid, Error> {
    let raw = &request.raw_input_contents;
    // Raw contents are there for the inputs that are not in shared memory, in their order.
    let is_shared = |&index: &usize| Window::is_named_by(&request.inputs[index].parameters);
    let shared: Few<usize> = (0..request.inputs.len()).filter(is_shared).collect();
    let expected = request.inputs.len() - shared.len();
    if !raw.is_empty() && raw.len() != expected {
        return Err(Error::invalid(format!(
            "expected {expected} entries of raw_input_contents for model '{}', one per input that is not in shared memory, got {}",
            version.name,
            raw.len()
        )));
    }
    validate_with(version, request, regions, |index, input, datatype| {
        match raw.get(index - shared.partition_point(|&earlier| earlier < index)) {
            Some(_) if !input.contents.is_empty() => Err(Error::invalid(format!(
                "contents field must not be specified when using raw_input_contents for '{}' for model '{}'",
                input.name, version.name
            ))),
            // An empty slice may point anywhere, so it is not looked for in the message.
            Some([]) => Ok(Bytes::new()),
            Some(raw) => Ok(message.slice_ref(raw)),
            None => contents::to_raw(&input.contents, datatype, input.name),
        }
    })
}

/// As `validate`, for an edge whose tensors travel in another form: `data` gives an input's raw bytes by its position
/// in the request. It is not asked for those in shared memory.
pub fn validate_with(
    version: &Version,
    request: &InferRequest<'_>,
    regions: &Regions,
    data: impl Fn(usize, &InputTensor<'_>, DataType) -> Result<Bytes, Error>,
) -> Result<Valid, Error> {
    check_parameters(&request.parameters)?;
    let model = &version.name;
    check_input_names(version, request)?;

    let mut inputs = SmallVec::new();
    let mut rows = Rows::default();
    for port in &version.inputs {
        let Some(index) = request.inputs.iter().position(|input| input.name == port.name) else {
            if port.optional {
                inputs.push(Tensor::absent());
                continue;
            }
            return Err(wrong_number(version, request));
        };
        let input = &request.inputs[index];
        let datatype = check_datatype(port, input, model)?;
        check_shape(version, port, &input.shape)?;
        rows.check(version, port, &input.shape)?;
        let data = match Window::of(&input.parameters, input.name, regions)? {
            None => data(index, input, datatype)?,
            Some(window) => shared(input, datatype, &window, model)?,
        };
        check_size(input, datatype, &data, model)?;
        inputs.push(Tensor { shape: input.shape.clone(), data });
    }
    let rows = rows.count(version)?;
    Ok(Valid {
        inputs,
        rows,
        turn: sequence::turn(version, &request.parameters, rows)?,
        outputs: wanted(version, request, regions)?,
        priority: whole_number(&request.parameters, "priority", "")?,
        timeout: timeout(&request.parameters)?,
    })
}

/// A copy of an input in shared memory: whatever its owner does to it from now on, what is held against the model here
/// is what the model gets.
fn shared(input: &InputTensor<'_>, datatype: DataType, window: &Window, model: &str) -> Result<Bytes, Error> {
    if !input.contents.is_empty() {
        return Err(Error::invalid(format!(
            "unexpected 'content' provided when using shared memory for input tensor '{}' for model '{model}'",
            input.name
        )));
    }
    if let Some(size) = datatype.size() {
        check_byte_size(input, size, window.size(), model)?;
    }
    window.read()
}

/// Keys that start with `triton_` are the protocol's own; a caller who invents one has misspelled something.
fn check_parameters(parameters: &Parameters<'_>) -> Result<(), Error> {
    for (key, _) in parameters.iter() {
        if key.starts_with("triton_") && key != "triton_enable_empty_final_response" {
            return Err(Error::invalid(format!(
                "parameter '{key}' is unknown: keys starting with 'triton_' are reserved and should not be specified"
            )));
        }
    }
    Ok(())
}

/// The request's `timeout` parameter; 0 is none.
fn timeout(parameters: &Parameters<'_>) -> Result<Option<Duration>, Error> {
    let micros = whole_number(parameters, "timeout", ", in microseconds")?;
    Ok((micros > 0).then(|| Duration::from_micros(micros.min(MAX_TIMEOUT_MICROS))))
}

/// A parameter that clients send as either kind of integer; 0 where they do not.
fn whole_number(parameters: &Parameters<'_>, key: &str, unit: &str) -> Result<u64, Error> {
    let number = match parameters.get(key) {
        None => Some(0),
        Some(Parameter::Int64(number)) => u64::try_from(number).ok(),
        Some(Parameter::Uint64(number)) => Some(number),
        Some(_) => None,
    };
    number.ok_or_else(|| {
        Error::invalid(format!("parameter '{key}' must be an int64 or uint64 of at least 0{unit}"))
    })
}

fn check_input_names(version: &Version, request: &InferRequest<'_>) -> Result<(), Error> {
    let (model, expected) = (&version.name, version.inputs.len());
    if let Some(name) = repeated(&request.inputs) {
        return Err(Error::invalid(format!("input '{name}' already exists in request")));
    }
    if !(version.required..=expected).contains(&request.inputs.len()) {
        return Err(wrong_number(version, request));
    }
    let is_known = |name: &str| version.inputs.iter().any(|port| port.name == name);
    match request.inputs.iter().find(|input| !is_known(input.name)) {
        Some(input) => {
            Err(Error::invalid(format!("unexpected inference input '{}' for model '{model}'", input.name)))
        }
        None => Ok(()),
    }
}

/// What to say of a request that lacks an input or has one too many.
fn wrong_number(version: &Version, request: &InferRequest<'_>) -> Error {
    let (most, count) = (version.inputs.len(), request.inputs.len());
    let expected = match version.required {
        required if required == most => format!("expected {most} inputs"),
        required => format!("expected number of inputs between {required} and {most}"),
    };
    let got = quoted(request.inputs.iter().map(|input| input.name));
    let rest = if count <= most {
        let is_missing =
            |port: &&Port| !port.optional && request.inputs.iter().all(|input| input.name != port.name);
        let missing = version.inputs.iter().filter(is_missing).map(|port| port.name.as_str());
        format!("but missing required input(s) [{}]. Please provide all required input(s).", quoted(missing))
    } else {
        let is_extra = |name: &&str| version.inputs.iter().all(|port| port.name != *name);
        let extra = request.inputs.iter().map(|input| input.name).filter(is_extra);
        format!("of which the model has no [{}].", quoted(extra))
    };
    Error::invalid(format!(
        "{expected} but got {count} inputs for model '{}'. Got input(s) [{got}], {rest}",
        version.name
    ))
}

/// A name that stands twice. Without memory for the few inputs that models have, in linear time for a request that
/// comes with many.
fn repeated<'a>(inputs: &[InputTensor<'a>]) -> Option<&'a str> {
    if inputs.len() <= 16 {
        let twice = |&index: &usize| inputs[..index].iter().any(|earlier| earlier.name == inputs[index].name);
        return (0..inputs.len()).find(twice).map(|index| inputs[index].name);
    }
    let mut seen = HashSet::with_capacity(inputs.len());
    inputs.iter().find(|input| !seen.insert(input.name)).map(|input| input.name)
}

fn check_datatype(port: &Port, input: &InputTensor<'_>, model: &str) -> Result<DataType, Error> {
    if input.datatype == port.datatype.name() {
        return Ok(port.datatype);
    }
    Err(Error::invalid(format!(
        "inference input '{}' data-type is '{}', but model '{model}' expects '{}'",
        port.name,
        input.datatype,
        port.datatype.name()
    )))
}

/// Whether a tensor of this shape may be an input: its dimensions and its rows.
pub fn check_shape(version: &Version, port: &Port, shape: &[i64]) -> Result<(), Error> {
    let model = &version.name;
    let fits = port.shape.len() == shape.len()
        && port.shape.iter().zip(shape).all(|(&wanted, &found)| wanted == found || wanted == -1);
    if !fits {
        return Err(Error::invalid(format!(
            "unexpected shape for input '{}' for model '{model}'. Expected {}, got {}",
            port.name,
            listed(&port.shape),
            listed(shape)
        )));
    }
    if shape.iter().any(|&dim| dim < 0) {
        return Err(Error::invalid(format!(
            "input byte size mismatch for input '{}' for model '{model}'. Expected no negative dimension, got {}",
            port.name,
            listed(shape)
        )));
    }
    if version.is_batched() {
        let limit = version.config.max_batch_size;
        if shape[0] > i64::from(limit) {
            return Err(Error::invalid(format!(
                "inference request batch-size must be <= {limit} for '{model}'"
            )));
        }
        if shape[0] == 0 {
            return Err(Error::invalid(format!("inference request batch-size must be >= 1 for '{model}'")));
        }
    }
    Ok(())
}

/// The rows of a request, which all of its inputs have in common; 1 where the model does not batch.
#[derive(Default)]
pub struct Rows<'a>(Option<(i64, &'a str)>);

impl<'a> Rows<'a> {
    /// Fails with INVALID_ARGUMENT if an input has more or fewer than those before it.
    pub fn check(&mut self, version: &Version, port: &'a Port, shape: &[i64]) -> Result<(), Error> {
        if !version.is_batched() {
            return Ok(());
        }
        match self.0 {
            Some((rows, other)) if rows != shape[0] => Err(Error::invalid(format!(
                "input '{}' batch size does not match other inputs for '{}': it has {}, '{other}' has {rows}",
                port.name, version.name, shape[0]
            ))),
            _ => {
                self.0 = Some((shape[0], &port.name));
                Ok(())
            }
        }
    }

    /// Fails with INVALID_ARGUMENT if nothing says how many they are, as every input was left out.
    pub fn count(&self, version: &Version) -> Result<usize, Error> {
        match self.0 {
            Some((rows, _)) => Ok(rows as usize),
            None if version.is_batched() && !version.inputs.is_empty() => Err(Error::invalid(format!(
                "expected at least one input for model '{}', whose inputs are all optional: they say how many rows a request has",
                version.name
            ))),
            None => Ok(1),
        }
    }
}

fn check_size(input: &InputTensor<'_>, datatype: DataType, data: &Bytes, model: &str) -> Result<(), Error> {
    match datatype.size() {
        Some(size) => check_byte_size(input, size, data.len(), model),
        None => check_elements(input, data, model),
    }
}

fn check_byte_size(input: &InputTensor<'_>, size: usize, found: usize, model: &str) -> Result<(), Error> {
    let expected = count(&input.shape).and_then(|count| count.checked_mul(size as i64));
    if expected == Some(found as i64) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "input byte size mismatch for input '{}' for model '{model}'. Expected {}, got {found}",
        input.name,
        expected.unwrap_or(i64::MAX)
    )))
}

fn check_elements(input: &InputTensor<'_>, data: &Bytes, model: &str) -> Result<(), Error> {
    let (name, expected) = (input.name, count(&input.shape));
    let (mut found, mut whole) = (0i64, true);
    for element in elements(data) {
        found += 1;
        whole &= element.is_some();
    }
    if !whole {
        return Err(Error::invalid(format!(
            "incomplete string data for inference input '{name}' for model '{model}': element {found} is cut short"
        )));
    }
    if expected != Some(found) {
        return Err(Error::invalid(format!(
            "expected {} string elements for inference input '{name}' for model '{model}', got {found}",
            expected.unwrap_or(i64::MAX)
        )));
    }
    Ok(())
}

fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("'{name}'")).collect::<Vec<_>>().join(",")
}

fn listed(shape: &[i64]) -> String {
    format!("[{}]", shape.iter().map(i64::to_string).collect::<Vec<_>>().join(","))
}
