//! An ensemble's configuration, held against its members and put in order.

use super::tensors::Tensors;
use crate::models::{Port, Version, engine::Engine, registry::Registry};
use infermesh_wire::{
    DataType, Error,
    proto::inference::{ModelConfig, model_config::SchedulingChoice, model_ensembling::Step as StepConfig},
};
use std::collections::HashMap;

/// What a request does, step by step. Tensors are numbered; the ensemble's inputs come first.
pub struct Plan {
    /// In an order in which each step's inputs are made before it.
    pub steps: Vec<Step>,
    pub datatypes: Vec<DataType>,
    /// The tensor of each of the ensemble's outputs.
    pub outputs: Vec<usize>,
}

pub struct Step {
    pub model: String,
    /// Empty: the newest that is ready when a request comes.
    pub version: String,
    /// The model's name of a tensor, and the ensemble's number.
    pub inputs: Vec<(String, usize)>,
    pub outputs: Vec<(String, usize)>,
}

impl Step {
    /// The ensemble's tensor that the model's input is fed with.
    pub fn source(&self, input: &str) -> Option<usize> {
        self.inputs.iter().find(|(name, _)| name == input).map(|(_, tensor)| *tensor)
    }
}

impl Plan {
    pub fn new(
        config: &ModelConfig,
        inputs: &[Port],
        outputs: &[Port],
        registry: &Registry,
    ) -> Result<Self, Error> {
        let Some(SchedulingChoice::EnsembleScheduling(ensembling)) = &config.scheduling_choice else {
            return Err(Error::invalid("an ensemble needs ensemble_scheduling in its configuration"));
        };
        let mut tensors = Tensors::default();
        for port in inputs {
            tensors.add(&port.name, port, format!("input '{}' of the ensemble", port.name))?;
        }
        let mut waiting: Vec<_> = ensembling.step.iter().enumerate().collect();
        let mut steps = Vec::with_capacity(waiting.len());
        while !waiting.is_empty() {
            let Some(next) = waiting.iter().position(|(_, step)| missing(step, &tensors).is_none()) else {
                return Err(stuck(&waiting, &tensors));
            };
            let (index, step) = waiting.remove(next);
            let held = add(config, step, &mut tensors, registry);
            steps.push(
                held.map_err(|error| Error::new(error.code, format!("{}: {error}", called(index, step))))?,
            );
        }
        let outputs = outputs
            .iter()
            .map(|port| {
                let index = tensors.find(&port.name).ok_or_else(|| {
                    Error::invalid(format!("output '{}' of the ensemble comes from no step", port.name))
                })?;
                tensors.take(index, port, &format!("output '{}' of the ensemble", port.name))?;
                Ok(index)
            })
            .collect::<Result<_, Error>>()?;
        if let Some(port) =
            inputs.iter().zip(&tensors.0).find(|(_, tensor)| !tensor.used).map(|(port, _)| port)
        {
            return Err(Error::invalid(format!("input '{}' of the ensemble goes to no step", port.name)));
        }
        Ok(Self { steps, datatypes: tensors.0.iter().map(|tensor| tensor.datatype).collect(), outputs })
    }

    /// Which steps have to run for some of the outputs.
    pub fn needed(&self, wanted: &dyn Fn(usize) -> bool) -> Vec<usize> {
        let mut tensors = vec![false; self.datatypes.len()];
        for (index, &tensor) in self.outputs.iter().enumerate() {
            tensors[tensor] |= wanted(index);
        }
        let mut steps: Vec<usize> = Vec::with_capacity(self.steps.len());
        for (index, step) in self.steps.iter().enumerate().rev() {
            if step.outputs.iter().any(|(_, tensor)| tensors[*tensor]) {
                step.inputs.iter().for_each(|(_, tensor)| tensors[*tensor] = true);
                steps.push(index);
            }
        }
        steps.reverse();
        steps
    }
}

/// Holds a step whose inputs are known against its model.
fn add(
    config: &ModelConfig,
    step: &StepConfig,
    tensors: &mut Tensors,
    registry: &Registry,
) -> Result<Step, Error> {
    let version = if step.model_version > 0 { step.model_version.to_string() } else { String::new() };
    if step.model_name == config.name {
        return Err(Error::invalid("an ensemble cannot be a step of itself"));
    }
    let member = registry.find(&step.model_name, &version)?;
    check_member(config, &member, registry)?;
    let user = format!("model '{}'", member.name);
    let mut inputs = Vec::with_capacity(member.inputs.len());
    for (name, tensor) in sorted(&step.input_map) {
        let port = port(&member.inputs, "input", name, &user)?;
        // Whoever calls this has looked for it before.
        let index = tensors.find(tensor).ok_or_else(|| Error::internal("a tensor vanished"))?;
        tensors.take(index, port, &format!("input '{name}' of {user}"))?;
        inputs.push((name.clone(), index));
    }
    let is_forgotten = |port: &&Port| !port.optional && !step.input_map.contains_key(&port.name);
    if let Some(port) = member.inputs.iter().find(is_forgotten) {
        return Err(Error::invalid(format!(
            "input '{}' of {user} is not in input_map, which has to name every input that is not optional",
            port.name
        )));
    }
    let mut outputs = Vec::with_capacity(step.output_map.len());
    for (name, tensor) in sorted(&step.output_map) {
        let port = port(&member.outputs, "output", name, &user)?;
        outputs.push((name.clone(), tensors.add(tensor, port, format!("output '{name}' of {user}"))?));
    }
    Ok(Step { model: step.model_name.clone(), version, inputs, outputs })
}

fn check_member(config: &ModelConfig, member: &Version, registry: &Registry) -> Result<(), Error> {
    if leads_to(member, &config.name, registry) {
        return Err(Error::invalid(format!(
            "the ensemble '{}' has '{}' among its own steps, expected no circle",
            member.name, config.name
        )));
    }
    if member.is_decoupled() {
        return Err(Error::invalid(format!(
            "model '{}' is decoupled: it may answer any number of times, expected a model with one answer per request",
            member.name
        )));
    }
    if member.is_batched() && member.config.max_batch_size < config.max_batch_size {
        return Err(Error::invalid(format!(
            "ensemble '{}' allows maximum batch size {}, but it contains model '{}' which only allows maximum batch size to be {}",
            config.name, config.max_batch_size, member.name, member.config.max_batch_size
        )));
    }
    Ok(())
}

fn leads_to(member: &Version, name: &str, registry: &Registry) -> bool {
    let Engine::Ensemble(ensemble) = &member.engine else { return false };
    ensemble.members().any(|(model, version)| {
        model == name || registry.find(model, version).is_ok_and(|it| leads_to(&it, name, registry))
    })
}

fn port<'a>(ports: &'a [Port], what: &str, name: &str, user: &str) -> Result<&'a Port, Error> {
    ports.iter().find(|port| port.name == name).ok_or_else(|| {
        let known: Vec<_> = ports.iter().map(|port| format!("'{}'", port.name)).collect();
        Error::invalid(format!("{user} has no {what} '{name}'; it has {}", known.join(", ")))
    })
}

/// A protobuf map has no order of its own, and an error should not depend on chance.
fn sorted(map: &HashMap<String, String>) -> Vec<(&String, &String)> {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_unstable();
    entries
}

/// An input of the step, and its tensor, that is not there yet.
fn missing<'a>(step: &'a StepConfig, tensors: &Tensors) -> Option<(&'a String, &'a String)> {
    sorted(&step.input_map).into_iter().find(|(_, tensor)| tensors.find(tensor).is_none())
}

/// Why none of the steps that are left can run.
fn stuck(waiting: &[(usize, &StepConfig)], tensors: &Tensors) -> Error {
    let comes = |tensor: &str| {
        waiting.iter().any(|(_, step)| step.output_map.values().any(|output| output == tensor))
    };
    let mut stuck = waiting.iter().filter_map(|&(index, step)| Some((index, step, missing(step, tensors)?)));
    // A tensor that nobody makes says more than the circle of those that wait for it.
    let Some((index, step, (input, tensor))) =
        stuck.clone().find(|(_, _, (_, tensor))| !comes(tensor)).or_else(|| stuck.next())
    else {
        return Error::internal("no step is stuck");
    };
    let why = match comes(tensor) {
        true => "which is made from what this step makes, expected no circle",
        false => "which is neither an input of the ensemble nor the output of a step",
    };
    Error::invalid(format!("{}: input '{input}' takes the tensor '{tensor}', {why}", called(index, step)))
}

fn called(index: usize, step: &StepConfig) -> String {
    format!("step {} (model '{}')", index + 1, step.model_name)
}
