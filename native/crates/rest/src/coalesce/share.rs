//! A request that may share its call with others.

use super::{Alone, Key};
use bytes::Bytes;
use infermesh_wire::{
    DataType, contents,
    request::{InferRequest, InputTensor, Parameter},
    rows::is_whole,
};

#[derive(Debug)]
pub struct Share {
    model: String,
    version: String,
    pub(super) key: Key,
    pub(super) id: String,
    pub(super) rows: usize,
    /// In the order of the key's inputs.
    pub(super) tensors: Vec<Bytes>,
}

impl Share {
    /// Of a serialised `ModelInferRequest`, without a length in front. Raw tensors stay where they are.
    ///
    /// Fails for a request that cannot have company: it would take part in what is not its own (a sequence,
    /// shared memory), has no rows, or is wrong in a way that would be held against all.
    pub fn of(message: &Bytes) -> Result<Self, Alone> {
        let request = InferRequest::decode(message).map_err(|error| Alone::because(error.message))?;
        if is_of_a_sequence(&request) {
            return Err(Alone::because("it belongs to a sequence"));
        }
        let outputs = request.outputs.iter().map(|output| &output.parameters);
        let mut parameters = request.inputs.iter().map(|input| &input.parameters).chain(outputs);
        if parameters.any(|parameters| parameters.get("shared_memory_region").is_some()) {
            return Err(Alone::because("it has tensors in shared memory"));
        }
        let mut order: Vec<usize> = (0..request.inputs.len()).collect();
        order.sort_by_key(|&index| request.inputs[index].name);
        let inputs: Vec<_> = order.iter().map(|&index| &request.inputs[index]).collect();
        let rows = rows(&inputs)?;
        let tensors = order.iter().map(|&index| values(&request, index, message));
        let tensors = tensors.collect::<Result<Vec<_>, _>>()?;
        if tensors.iter().all(Bytes::is_empty) {
            // Of nothing there is any number of rows, and the answer has as many.
            return Err(Alone::because("its rows have no values"));
        }
        Ok(Self {
            model: request.model_name.to_owned(),
            version: request.model_version.to_owned(),
            key: Key::of(&request, &inputs),
            id: request.id.to_owned(),
            rows,
            tensors,
        })
    }

    pub fn model(&self) -> &str {
        &self.model
    }

    /// Empty: the server's choice.
    pub fn version(&self) -> &str {
        &self.version
    }

    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The size of the first dimension.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The size of all tensors, in bytes.
    pub fn bytes(&self) -> usize {
        self.tensors.iter().map(Bytes::len).sum()
    }

    /// Feeds everything that the answer may depend on, each part with its length in front, so that none can pass for a part
    /// of its neighbour.
    pub fn digest(&self, mut feed: impl FnMut(&[u8])) {
        let parts = self.tensors.iter().map(|tensor| &tensor[..]);
        for part in [self.key.as_bytes()].into_iter().chain(parts) {
            feed(&(part.len() as u64).to_le_bytes());
            feed(part);
        }
        feed(&(self.rows as u64).to_le_bytes());
    }
}

/// Steps of a sequence come one by one, and in order.
fn is_of_a_sequence(request: &InferRequest<'_>) -> bool {
    match request.parameters.get("sequence_id") {
        None
        | Some(Parameter::Unset | Parameter::Int64(0) | Parameter::Uint64(0) | Parameter::String("")) => {
            false
        }
        Some(_) => true,
    }
}

/// `inputs` are in the order of their names.
fn rows(inputs: &[&InputTensor<'_>]) -> Result<usize, Alone> {
    if let Some(twice) = inputs.windows(2).find(|pair| pair[0].name == pair[1].name) {
        return Err(Alone::because(format!("input '{}' is given twice", twice[0].name)));
    }
    let Some(first) = inputs.first() else { return Err(Alone::because("it has no inputs")) };
    for input in inputs {
        match (input.shape.first(), first.shape.first()) {
            (None, _) => return Err(Alone::because(format!("input '{}' has no dimension", input.name))),
            (Some(rows), Some(others)) if rows != others => {
                return Err(Alone::because(format!(
                    "input '{}' has {rows} rows, but '{}' has {others}",
                    input.name, first.name
                )));
            }
            _ => {}
        }
    }
    let rows = usize::try_from(first.shape[0]).ok().filter(|&rows| rows > 0);
    rows.ok_or_else(|| Alone::because(format!("input '{}' has {} rows", first.name, first.shape[0])))
}

/// The bytes of an input, which are as many as its shape says.
fn values(request: &InferRequest<'_>, index: usize, message: &Bytes) -> Result<Bytes, Alone> {
    let (raw, input) = (&request.raw_input_contents, &request.inputs[index]);
    if !raw.is_empty() && raw.len() != request.inputs.len() {
        return Err(Alone::because(format!(
            "it has {} inputs and {} raw contents",
            request.inputs.len(),
            raw.len()
        )));
    }
    let unknown = || Alone::because(format!("input '{}' is of type '{}'", input.name, input.datatype));
    let datatype = DataType::from_name(input.datatype).ok_or_else(unknown)?;
    let data = match raw.get(index) {
        Some(_) if !input.contents.is_empty() => {
            return Err(Alone::because(format!("input '{}' has its values in two places", input.name)));
        }
        // An empty slice may point anywhere, so it is not looked for in the message.
        Some([]) => Bytes::new(),
        Some(raw) => message.slice_ref(raw),
        None => contents::to_raw(&input.contents, datatype, input.name)
            .map_err(|error| Alone::because(error.message))?,
    };
    if !is_whole(datatype, &input.shape, &data) {
        return Err(Alone::because(format!(
            "the {} bytes of input '{}' are not what its shape takes",
            data.len(),
            input.name
        )));
    }
    Ok(data)
}
