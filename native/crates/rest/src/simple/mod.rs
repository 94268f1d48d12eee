//! Plain JSON, for clients that know no protocol: `POST /models/NAME`, an object of named fields in, an
//! object of named values out.
//!
//! The model's signature says the rest: which field is which tensor, of which type, of which shape. `fields`
//! reads them, `unrow` shows what was answered.

mod fields;
mod unrow;

pub use unrow::Unrow;

use crate::{
    parameters,
    path::{decode, segments},
    signature::Signature,
    tensor::check_has_json_form,
};
use fields::Given;
use http::{HeaderMap, Uri};
use infermesh_wire::{
    Error, Shape,
    request::{InferRequest, InputTensor},
    request_writer,
    response::Pieces,
};
use serde_json::{Map, Value};

/// What comes back with whatever the request caused.
const ID: &str = "x-request-id";

/// Where a request goes and what its head says.
#[derive(Debug)]
pub struct Simple {
    pub model: String,
    /// Empty for the newest.
    pub version: String,
    id: String,
    query: String,
}

impl Simple {
    /// `None` for any path but `/models/NAME` and `/models/NAME/versions/VERSION`.
    pub fn of(uri: &Uri, headers: &HeaderMap) -> Option<Self> {
        let segments = segments(uri.path())?;
        let (model, version) = match &segments[..] {
            [first, model] if first == "models" => (model, ""),
            [first, model, second, version] if first == "models" && second == "versions" => {
                (model, &version[..])
            }
            _ => return None,
        };
        let id = headers.get(ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
        let (id, query) = (id.to_owned(), uri.query().unwrap_or_default().to_owned());
        (!model.is_empty()).then(|| Self { model: model.to_string(), version: version.to_owned(), id, query })
    }

    /// The message, and how the answer is to be shown.
    ///
    /// Fails with INVALID_ARGUMENT, saying which fields the model has where that is what is wrong.
    pub fn request(&self, signature: &Signature, body: &[u8]) -> Result<(Pieces, Unrow), Error> {
        for port in &signature.outputs {
            // Refused before it runs.
            check_has_json_form(port.datatype, "output", &port.name)?;
        }
        let Given { mut tensors, parameters: given, rows } = fields::read(signature, body)?;
        let mut parameters = self.query()?;
        parameters.extend(given);
        let mut data = Vec::with_capacity(tensors.len());
        let inputs = tensors.iter_mut().map(|tensor| {
            data.push([std::mem::take(&mut tensor.raw).into()]);
            InputTensor {
                name: &tensor.port.name,
                datatype: tensor.port.datatype.name(),
                shape: Shape::from_slice(&tensor.shape),
                ..Default::default()
            }
        });
        let request = InferRequest {
            model_name: &self.model,
            model_version: &self.version,
            id: &self.id,
            inputs: inputs.collect(),
            parameters: parameters::from_json(&parameters)?,
            ..Default::default()
        };
        Ok((request_writer::write(&request, &data), Unrow::new(signature, rows)))
    }

    /// Parameters in the query: numbers and booleans are what they look like, everything else is text.
    fn query(&self) -> Result<Map<String, Value>, Error> {
        let pairs = self.query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let text = |text: &str| decode(&text.replace('+', " ")).map(|text| text.into_owned());
            let (key, value) = text(key).zip(text(value)).ok_or_else(|| {
                Error::invalid(format!("'{pair}' in the query is not percent-encoded UTF-8"))
            })?;
            let value = match serde_json::from_str(&value) {
                Ok(plain @ (Value::Bool(_) | Value::Number(_))) => plain,
                _ => Value::String(value),
            };
            Ok((key, value))
        });
        pairs.collect()
    }
}

#[cfg(test)]
mod tests;
