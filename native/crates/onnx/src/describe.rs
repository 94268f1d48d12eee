//! What a model file says about itself, written into its configuration.

use crate::{
    gpu::fixed,
    providers::cuda::wants_graphs,
    session::{Port, Session},
};
use infermesh_batcher::{
    buckets::powers_of_two,
    hidden::{Hidden, hidden_inputs, hidden_outputs},
    ragged::is_padded,
};
use infermesh_wire::{
    DataType, Error,
    proto::inference::{
        ModelConfig, ModelDynamicBatching, ModelInput, ModelOutput, ModelParameter, model_config,
    },
};

/// Rows per batch where nobody says otherwise and the model has a batch dimension.
const DEFAULT_MAX_BATCH_SIZE: i32 = 64;

/// What Triton calls such a model.
const PLATFORM: &str = "onnxruntime_onnx";

/// Fills in inputs, outputs, batch size, batching and sizes where the configuration is silent, and checks what it
/// does say against the model. Fails with INVALID_ARGUMENT naming the tensor, what was found and what is expected.
pub fn complete(mut config: ModelConfig, session: &Session) -> Result<ModelConfig, Error> {
    if config.model_transaction_policy.is_some_and(|policy| policy.decoupled) {
        return Err(Error::invalid(
            "model_transaction_policy.decoupled is true, expected false: an ONNX model gives one answer to each request",
        ));
    }
    let (inputs, outputs) = (hidden_inputs(&config)?, hidden_outputs(&config)?);
    let silent = config.input.is_empty() && config.output.is_empty();
    let batches = session.inputs.iter().chain(&session.outputs).all(|port| port.shape.first() == Some(&-1));
    if silent && config.max_batch_size == 0 && batches {
        config.max_batch_size = DEFAULT_MAX_BATCH_SIZE;
        if config.scheduling_choice.is_none() {
            config.scheduling_choice =
                Some(model_config::SchedulingChoice::DynamicBatching(ModelDynamicBatching::default()));
        }
    }
    let batched = config.max_batch_size > 0;
    if batched && !batches {
        return Err(Error::invalid(format!(
            "max_batch_size is {} but the first dimension of the model's tensors does not vary: {}",
            config.max_batch_size,
            shapes(session)
        )));
    }
    for input in &config.input {
        let dims = input.reshape.as_ref().map_or(&input.dims, |reshape| &reshape.shape);
        let flat = input.allow_ragged_batch && !is_padded(&config, &input.name);
        if flat {
            check_flat(&input.name, session)?;
        }
        let (dims, batched) = if flat { (&FLAT[..], false) } else { (&dims[..], batched) };
        check("input", &input.name, input.data_type, Some(dims), &session.inputs, batched)?;
        if input.optional {
            check_optional(&input.name, session)?;
        }
    }
    for output in &config.output {
        let dims = output.reshape.as_ref().map_or(&output.dims, |reshape| &reshape.shape);
        // What is divided by its elements may have any shape.
        let dims = (!is_end_to_end(&config, &output.name)).then_some(&dims[..]);
        check("output", &output.name, output.data_type, dims, &session.outputs, batched)?;
    }
    for Hidden { name, datatype, dims, of_batch } in &inputs {
        let batched = batched && !of_batch;
        check("input", name, datatype.to_config() as i32, Some(dims), &session.inputs, batched)?;
    }
    for Hidden { name, datatype, dims, .. } in &outputs {
        check("output", name, datatype.to_config() as i32, Some(dims), &session.outputs, batched)?;
    }
    let seen = |hidden: &[Hidden], port: &&Port| hidden.iter().all(|hidden| hidden.name != port.name);
    let visible = || session.inputs.iter().filter(|port| seen(&inputs, port));
    if let Some(missing) = visible()
        .find(|port| !config.input.is_empty() && config.input.iter().all(|input| input.name != port.name))
    {
        return Err(Error::invalid(format!(
            "the model has an input '{}' that the configuration does not name",
            missing.name
        )));
    }

    // The model's own order, which is the order in which the backend is called.
    config.input = visible()
        .map(|port| match config.input.iter().find(|input| input.name == port.name) {
            Some(input) => input.clone(),
            None => ModelInput {
                name: port.name.clone(),
                data_type: port.datatype.to_config() as i32,
                dims: dims(port, batched),
                ..Default::default()
            },
        })
        .collect();
    config.output = session
        .outputs
        .iter()
        .filter(|port| seen(&outputs, port))
        .map(|port| match config.output.iter().find(|output| output.name == port.name) {
            Some(output) => output.clone(),
            None => ModelOutput {
                name: port.name.clone(),
                data_type: port.datatype.to_config() as i32,
                dims: dims(port, batched),
                ..Default::default()
            },
        })
        .collect();
    if config.platform.is_empty() {
        config.platform = PLATFORM.to_owned();
    }
    if wants_graphs(&config) {
        allow_sizes(&mut config, session)?;
    }
    Ok(config)
}

/// The dimensions of an input whose requests are laid end to end.
const FLAT: [i64; 1] = [-1];

fn check_flat(name: &str, session: &Session) -> Result<(), Error> {
    match session.inputs.iter().find(|port| port.name == name) {
        Some(port) if port.shape[..] != FLAT => Err(Error::invalid(format!(
            "input '{name}' has allow_ragged_batch, so that requests are laid end to end in shape {FLAT:?}, but the model \
             has {:?}; the parameter ragged_padding pads them to an ordinary batch instead",
            &port.shape[..]
        ))),
        _ => Ok(()),
    }
}

fn check_optional(name: &str, session: &Session) -> Result<(), Error> {
    match session.inputs.iter().find(|port| port.name == name) {
        Some(port) if !port.has_default => Err(Error::invalid(format!(
            "input '{name}' is optional, but the model needs it: an input that may be left out has an initializer of the \
             same name in the model"
        ))),
        _ => Ok(()),
    }
}

/// Whether an output is divided by the elements of an input that is not padded.
fn is_end_to_end(config: &ModelConfig, output: &str) -> bool {
    let mut of = config.batch_output.iter().filter(|it| it.target_name.iter().any(|target| target == output));
    of.any(|it| it.source_input.iter().any(|source| !is_padded(config, source)))
}

/// CUDA graphs are captured for fixed sizes: batches are filled up to these.
fn allow_sizes(config: &mut ModelConfig, session: &Session) -> Result<(), Error> {
    for port in session.inputs.iter().chain(&session.outputs) {
        fixed(port, 1)?;
    }
    if let Some(input) = config.input.iter().find(|input| input.optional) {
        return Err(Error::invalid(format!(
            "optimization.cuda.graphs: input '{}' is optional, and CUDA graphs need all of them",
            input.name
        )));
    }
    if config.max_batch_size > 0 {
        let sizes = powers_of_two(config.max_batch_size as usize);
        let text = sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
        let parameters = &mut config.parameters;
        parameters.entry("allowed_batch_sizes".into()).or_insert(ModelParameter { string_value: text });
    }
    Ok(())
}

/// Puts the session's tensors in the order in which the batcher passes them: the configuration's, then those that
/// clients do not see.
pub fn arrange(session: &mut Session, config: &ModelConfig) -> Result<(), Error> {
    let (inputs, outputs) = (hidden_inputs(config)?, hidden_outputs(config)?);
    let hidden = |ports: &[Hidden]| ports.iter().map(|port| port.name.clone()).collect::<Vec<_>>();
    let inputs = [config.input.iter().map(|it| it.name.clone()).collect(), hidden(&inputs)].concat();
    let outputs = [config.output.iter().map(|it| it.name.clone()).collect(), hidden(&outputs)].concat();
    session.arrange(&inputs, &outputs)
}

fn dims(port: &Port, batched: bool) -> Vec<i64> {
    port.shape[usize::from(batched)..].to_vec()
}

fn check(
    what: &str,
    name: &str,
    data_type: i32,
    configured: Option<&[i64]>,
    ports: &[Port],
    batched: bool,
) -> Result<(), Error> {
    let Some(port) = ports.iter().find(|port| port.name == name) else {
        let known: Vec<_> = ports.iter().map(|port| port.name.as_str()).collect();
        return Err(Error::invalid(format!("the model has no {what} '{name}'; it has {}", known.join(", "))));
    };
    if DataType::from_config(data_type) != Some(port.datatype) {
        return Err(Error::invalid(format!(
            "{what} '{name}' is configured as {} but the model has {}",
            DataType::from_config(data_type).map_or("an invalid type", DataType::name),
            port.datatype.name()
        )));
    }
    let Some(configured) = configured else { return Ok(()) };
    let actual = dims(port, batched);
    let fits = configured.len() == actual.len()
        && configured
            .iter()
            .zip(&actual)
            .all(|(&wanted, &found)| wanted == found || wanted == -1 || found == -1);
    if !fits {
        return Err(Error::invalid(format!(
            "{what} '{name}' is configured with dims {configured:?} but the model has {actual:?}{}",
            if batched { " after the batch dimension" } else { "" }
        )));
    }
    Ok(())
}

fn shapes(session: &Session) -> String {
    let shown: Vec<_> = session
        .inputs
        .iter()
        .chain(&session.outputs)
        .map(|port| format!("{} {:?}", port.name, &port.shape[..]))
        .collect();
    shown.join(", ")
}
