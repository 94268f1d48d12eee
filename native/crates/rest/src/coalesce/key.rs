//! What requests must have in common to share a call.

use super::Alone;
use crate::signature::Listed;
use bytes::Bytes;
use infermesh_wire::{
    Shape,
    framing::PREFIX,
    request::{Few, InferRequest, InputTensor, Parameters, RequestedOutput},
    request_writer,
};

/// The request without its id, its rows and its values, and with everything whose order has no meaning in
/// order. Equal for requests that may share a call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key(Bytes);

impl Key {
    /// `inputs` are those of `request`, by name, each with one dimension at least.
    pub(super) fn of(request: &InferRequest<'_>, inputs: &[&InputTensor<'_>]) -> Self {
        let inputs = inputs.iter().map(|input| InputTensor {
            name: input.name,
            datatype: input.datatype,
            shape: Shape::from_slice(&input.shape[1..]),
            parameters: ordered(&input.parameters),
            ..Default::default()
        });
        // Answers have their outputs in the order in which they are asked for.
        let outputs = request
            .outputs
            .iter()
            .map(|output| RequestedOutput { name: output.name, parameters: ordered(&output.parameters) });
        let without_rows = InferRequest {
            model_name: request.model_name,
            model_version: request.model_version,
            parameters: ordered(&request.parameters),
            inputs: inputs.collect(),
            outputs: outputs.collect(),
            ..Default::default()
        };
        let no_tensors: [[Bytes; 1]; 0] = [];
        Self(
            request_writer::write(&without_rows, &no_tensors).into_iter().collect::<Vec<_>>().concat().into(),
        )
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The request that it stands for.
    pub(super) fn request(&self) -> Result<InferRequest<'_>, Alone> {
        InferRequest::decode(&self.0[PREFIX..]).map_err(|error| Alone::because(error.message))
    }

    /// What is not the same.
    pub(super) fn difference(&self, other: &Self) -> Alone {
        let described = self.request().and_then(|one| Ok(difference(&one, &other.request()?)));
        described.unwrap_or_else(|unreadable| unreadable)
    }
}

/// The last value of each key, by key.
fn ordered<'a>(parameters: &Parameters<'a>) -> Parameters<'a> {
    let mut keys: Few<&str> = parameters.iter().map(|(key, _)| key).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut ordered = Parameters::default();
    for key in keys {
        ordered.push(key, parameters.get(key).unwrap_or_default());
    }
    ordered
}

fn difference(one: &InferRequest<'_>, other: &InferRequest<'_>) -> Alone {
    if one.model_name != other.model_name {
        return Alone::because(format!("the models are '{}' and '{}'", one.model_name, other.model_name));
    }
    if one.model_version != other.model_version {
        let (one, other) = (one.model_version, other.model_version);
        return Alone::because(format!("the versions are '{one}' and '{other}'"));
    }
    let names = |request: &InferRequest<'_>| {
        let names: Vec<_> = request.inputs.iter().map(|input| format!("'{}'", input.name)).collect();
        names.join(",")
    };
    let (names_of_one, names_of_other) = (names(one), names(other));
    if names_of_one != names_of_other {
        return Alone::because(format!("the inputs are [{names_of_one}] and [{names_of_other}]"));
    }
    for (one, other) in one.inputs.iter().zip(&other.inputs) {
        let name = one.name;
        if one.datatype != other.datatype {
            return Alone::because(format!("input '{name}' is {} and {}", one.datatype, other.datatype));
        }
        if one.shape != other.shape {
            let (one, other) = (Listed(&one.shape), Listed(&other.shape));
            return Alone::because(format!("the rows of input '{name}' are {one} and {other}"));
        }
    }
    Alone::because("their parameters, or the outputs that they ask for, are not the same")
}
