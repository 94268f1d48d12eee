//! What the configuration says about a model's ragged inputs, for when a batch runs.

use super::{BatchInput, batch_inputs, padding::padding, share::Share};
use crate::{Tensor, hidden::hidden_inputs};
use bytes::Bytes;
use infermesh_wire::{
    Error,
    proto::inference::{ModelConfig, ModelInput},
};
use smallvec::smallvec;

/// How one input of a batch is put together.
#[derive(Debug, Clone)]
pub enum Way {
    /// Row by row.
    Stack,
    /// Without shapes.
    EndToEnd,
    /// Row by row, each as large as the largest, with this element where there is none.
    Pad(Bytes),
    /// From the shapes of another.
    Make(BatchInput),
}

#[derive(Debug, Clone)]
pub struct Plan {
    /// By position in the model's signature.
    ways: Vec<Way>,
    /// By position of the output, where it is not divided by rows.
    shares: Vec<Option<Share>>,
}

impl Plan {
    /// `None` for a model without ragged inputs. `config` is complete.
    ///
    /// Fails with INVALID_ARGUMENT naming the tensor and what is wrong with it.
    pub fn from_config(config: &ModelConfig) -> Result<Option<Self>, Error> {
        let made = batch_inputs(config)?;
        let shares = shares(config)?;
        if config.input.iter().all(|input| !input.allow_ragged_batch) {
            return Ok(None);
        }
        if config.max_batch_size < 1 {
            return Err(Error::invalid(
                "allow_ragged_batch is for models that batch, but max_batch_size is 0",
            ));
        }
        let mut ways = config.input.iter().map(|input| way(config, input)).collect::<Result<Vec<_>, _>>()?;
        let stacked = hidden_inputs(config)?.into_iter().filter(|hidden| !hidden.of_batch);
        ways.extend(stacked.map(|_| Way::Stack));
        ways.extend(made.into_iter().map(Way::Make));
        Ok(Some(Self { ways, shares }))
    }

    pub fn way(&self, input: usize) -> &Way {
        self.ways.get(input).unwrap_or(&Way::Stack)
    }

    /// How an output is divided; by rows if there is nothing to say.
    pub fn share(&self, output: usize) -> Option<&Share> {
        self.shares.get(output)?.as_ref()
    }

    /// Turns the inputs of one request, the last of which are still to be made, into those of a batch of its own.
    pub fn complete(&self, inputs: &mut Vec<Tensor>) {
        for way in &self.ways {
            if let Way::Make(made) = way {
                let (shape, data) = made.of([&inputs[made.source()].shape].into_iter(), 0);
                inputs.push(Tensor { shape, data: data.into() });
            }
        }
        for (way, tensor) in self.ways.iter().zip(inputs) {
            if matches!(way, Way::EndToEnd) && !tensor.is_absent() {
                tensor.shape = smallvec![tensor.shape.iter().product()];
            }
        }
    }
}

fn way(config: &ModelConfig, input: &ModelInput) -> Result<Way, Error> {
    if !input.allow_ragged_batch {
        return Ok(Way::Stack);
    }
    if input.reshape.is_some() {
        return Err(Error::invalid(format!(
            "input '{}' has both reshape and allow_ragged_batch",
            input.name
        )));
    }
    match padding(config, input)? {
        Some(element) => Ok(Way::Pad(element)),
        None if config.parameters.contains_key("allowed_batch_sizes") => Err(Error::invalid(format!(
            "allowed_batch_sizes fills batches up, but input '{}' is laid end to end and has no rows",
            input.name
        ))),
        None => Ok(Way::EndToEnd),
    }
}

fn shares(config: &ModelConfig) -> Result<Vec<Option<Share>>, Error> {
    let mut shares: Vec<Option<Share>> = config.output.iter().map(|_| None).collect();
    for entry in &config.batch_output {
        let source = source(config, "batch_output", &entry.source_input)?;
        let input = &config.input[source];
        if config.model_transaction_policy.is_some_and(|policy| policy.decoupled) {
            return Err(Error::invalid(
                "batch_output is for models that answer once, but the model is decoupled",
            ));
        }
        for target in &entry.target_name {
            let wrong = |what: &str| Error::invalid(format!("batch_output: target '{target}' {what}"));
            let position = config.output.iter().position(|output| output.name == *target);
            let position = position.ok_or_else(|| wrong("is no output of the model"))?;
            let output = &config.output[position];
            let open = output.dims.iter().rposition(|&dim| dim < 0);
            if open.is_some_and(|open| open >= input.dims.len()) {
                return Err(wrong(&format!(
                    "has an open dimension that its source '{}' has not",
                    input.name
                )));
            }
            if output.reshape.is_some() {
                return Err(wrong("has reshape"));
            }
            let is_cut = super::is_padded(config, &input.name);
            let share = Share { name: target.clone(), source, dims: output.dims.clone(), is_cut };
            if shares[position].replace(share).is_some() {
                return Err(wrong("is named twice"));
            }
        }
    }
    Ok(shares)
}

/// The position of an input that clients send.
pub(super) fn position(config: &ModelConfig, name: &str) -> Option<usize> {
    config.input.iter().position(|input| input.name == name)
}

/// The position of the one input from which something is to follow.
pub(super) fn source(config: &ModelConfig, field: &str, sources: &[String]) -> Result<usize, Error> {
    let [name] = sources else {
        return Err(Error::invalid(format!("{field} has {} source inputs, expected 1", sources.len())));
    };
    let wrong = |what: &str| Error::invalid(format!("{field}: source input '{name}' {what}"));
    let position = position(config, name).ok_or_else(|| wrong("is no input of the model"))?;
    let input = &config.input[position];
    if !input.allow_ragged_batch {
        return Err(wrong("is not ragged: it has no allow_ragged_batch"));
    }
    if input.optional {
        return Err(wrong("is optional"));
    }
    Ok(position)
}

#[cfg(test)]
mod tests {
    use super::*;
    use infermesh_wire::proto::inference::{BatchInput, BatchOutput, DataType, ModelOutput, ModelParameter};

    fn config() -> ModelConfig {
        let input = |name: &str, ragged| ModelInput {
            name: name.into(),
            data_type: DataType::TypeFp32 as i32,
            dims: vec![-1],
            allow_ragged_batch: ragged,
            ..Default::default()
        };
        ModelConfig {
            max_batch_size: 8,
            input: vec![input("a", false), input("b", true)],
            output: vec![ModelOutput { name: "y".into(), dims: vec![-1, 4], ..Default::default() }],
            batch_input: vec![BatchInput {
                target_name: vec!["n".into()],
                data_type: DataType::TypeFp32 as i32,
                source_input: vec!["b".into()],
                ..Default::default()
            }],
            batch_output: vec![BatchOutput {
                target_name: vec!["y".into()],
                source_input: vec!["b".into()],
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    fn refused(change: impl FnOnce(&mut ModelConfig)) -> String {
        let mut config = config();
        change(&mut config);
        Plan::from_config(&config).unwrap_err().message.into_owned()
    }

    fn parameter(config: &mut ModelConfig, key: &str, value: &str) {
        config.parameters.insert(key.into(), ModelParameter { string_value: value.into() });
    }

    #[test]
    fn ragged_inputs_are_laid_end_to_end_unless_they_are_padded() {
        let mut config = config();
        let plan = Plan::from_config(&config).unwrap().unwrap();
        assert!(matches!((plan.way(0), plan.way(1), plan.way(2)), (Way::Stack, Way::EndToEnd, Way::Make(_))));
        assert!(!plan.share(0).unwrap().is_cut);
        parameter(&mut config, "ragged_padding", "0");
        let plan = Plan::from_config(&config).unwrap().unwrap();
        assert!(matches!((plan.way(0), plan.way(1)), (Way::Stack, Way::Pad(_))));
        assert!(plan.share(0).unwrap().is_cut);
        assert!(Plan::from_config(&ModelConfig::default()).unwrap().is_none());
    }

    #[test]
    fn a_request_alone_is_completed_as_a_batch() {
        let plan = Plan::from_config(&config()).unwrap().unwrap();
        let tensor = |shape: &[i64]| Tensor { shape: shape.into(), data: Bytes::new() };
        let mut inputs = vec![tensor(&[2, 3]), tensor(&[2, 3])];
        plan.complete(&mut inputs);
        let shapes: Vec<_> = inputs.iter().map(|input| input.shape.to_vec()).collect();
        assert_eq!(shapes, [vec![2, 3], vec![6], vec![1]]);
        assert_eq!(inputs[2].data[..], 6f32.to_le_bytes());
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (message, change) in [
            ("max_batch_size is 0", (|it| it.max_batch_size = 0) as fn(&mut ModelConfig)),
            ("source input 'z' is no input", |it| it.batch_input[0].source_input[0] = "z".into()),
            ("source input 'a' is not ragged", |it| it.batch_input[0].source_input[0] = "a".into()),
            ("source input 'b' is optional", |it| it.input[1].optional = true),
            ("batch_input has 0 source inputs", |it| it.batch_input[0].source_input.clear()),
            ("data_type must be TYPE_INT32", |it| it.batch_input[0].data_type = 3),
            ("target 'a' is an input", |it| it.batch_input[0].target_name[0] = "a".into()),
            ("target 'z' is no output", |it| it.batch_output[0].target_name[0] = "z".into()),
            ("target 'y' is named twice", |it| it.batch_output[0].target_name.push("y".into())),
            ("target 'y' has an open dimension", |it| it.output[0].dims = vec![4, -1]),
            ("input 'b' has both reshape", |it| it.input[1].reshape = Some(Default::default())),
            ("target 'y' has reshape", |it| it.output[0].reshape = Some(Default::default())),
            ("allowed_batch_sizes fills", |it| parameter(it, "allowed_batch_sizes", "8")),
            ("parameter 'ragged_padding' is 'x'", |it| parameter(it, "ragged_padding", "x")),
        ] {
            let found = refused(change);
            assert!(found.contains(message), "{found}");
        }
    }
}
