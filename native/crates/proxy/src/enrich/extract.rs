//! Fills a model's inputs with what a message has: from the fields of a rule to a `ModelInferRequest`.

use super::{
    gather::{Gathered, Layout, Mismatch},
    path::Source,
    ports::{Port, Ports},
    select::{Found, Values},
    shape::{Given, fit},
};
use crate::proto::InputField;
use bytes::Bytes;
use infermesh_wire::{
    DataType, Error,
    proto::inference::{
        ModelInferRequest,
        model_infer_request::{InferInputTensor, InferRequestedOutputTensor},
    },
};
use prost::Message;

/// Where one value comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub name: String,
    pub source: Source,
    /// As the rule has it; the model has to say the same.
    pub datatype: Option<DataType>,
    /// JSON without white space around it, not null.
    pub default: Option<String>,
}

impl Field {
    /// Fails with INVALID_ARGUMENT, and the name of what is wrong in front.
    pub fn new(config: &InputField) -> Result<Self, Error> {
        if config.name.is_empty() {
            return Err(Error::invalid("name: found none, expected that of an input"));
        }
        let source = config.source.parse().map_err(|error| Error::invalid(format!("source: {error}")))?;
        let given = Some(&config.datatype[..]).filter(|name| !name.is_empty());
        let unknown =
            |name| Error::invalid(format!("datatype: found '{name}', expected one such as FP32 or BYTES"));
        let datatype =
            given.map(|name| DataType::from_name(name).ok_or_else(|| unknown(name))).transpose()?;
        let default =
            Some(&config.default_json[..]).filter(|json| !json.is_empty()).map(default).transpose()?;
        Ok(Self { name: config.name.clone(), source, datatype, default })
    }

    /// What a message has of it.
    pub fn value<'a>(&self, values: &Values<'a>) -> Result<Found<'a>, Error> {
        values.get(&self.source).map_err(|error| Error::invalid(format!("{}: {error}", self.label())))
    }

    /// In messages.
    pub fn label(&self) -> String {
        format!("input '{}' from {}", self.name, self.source)
    }

    fn unfit(&self, mismatch: &Mismatch) -> Error {
        Error::invalid(format!("{}: {mismatch}", self.label()))
    }
}

fn default(json: &str) -> Result<String, Error> {
    match serde_json::from_str::<&serde_json::value::RawValue>(json) {
        Ok(value) if value.get() != "null" => Ok(value.get().to_owned()),
        Ok(_) => Err(Error::invalid("default_json: found null, expected a value")),
        Err(error) => Err(Error::invalid(format!("default_json: found '{json}', expected JSON: {error}"))),
    }
}

/// One input with its values, not yet of the shape that it needs.
pub struct Filling<'a> {
    /// What it was taken from; none of the rule's fields if it is the transform's.
    pub field: Option<&'a Field>,
    pub values: Gathered,
}

impl Filling<'_> {
    fn unfit(&self, port: &Port, mismatch: &Mismatch) -> Error {
        match self.field {
            Some(field) => field.unfit(mismatch),
            None => untransformed(port, mismatch),
        }
    }
}

/// INVALID_ARGUMENT for a tensor of the transform's.
pub fn untransformed(port: &Port, mismatch: &Mismatch) -> Error {
    Error::invalid(format!("input '{}' from the transform: {mismatch}", port.name))
}

/// What is the same in all requests of a rule.
#[derive(Debug, Clone)]
pub struct Head {
    pub model: String,
    pub version: String,
    /// Those that are placed, each once.
    pub outputs: Vec<String>,
}

/// The inputs of a rule without a transform, `fields` being those of `ports`.
///
/// Fails with INVALID_ARGUMENT if a field has nothing to give, or something that is none of its input's
/// datatype.
pub fn fill<'a>(
    fields: &'a [Field],
    ports: &Ports,
    values: &Values<'_>,
    max_bytes: usize,
) -> Result<Vec<Option<Filling<'a>>>, Error> {
    let fill = |(field, port): (&'a Field, &Port)| {
        let layout = Layout { datatype: port.datatype, default: field.default.as_deref(), max_bytes };
        let values = layout.gather(&field.value(values)?).map_err(|mismatch| field.unfit(&mismatch))?;
        Ok(Some(Filling { field: Some(field), values }))
    };
    fields.iter().zip(&ports.0).map(fill).collect()
}

/// A serialised `ModelInferRequest`, without gRPC's prefix. An input of `ports` that has no filling is left
/// out.
///
/// Fails with INVALID_ARGUMENT if values do not have the shape of their input, or are more than `max_bytes`.
pub fn encode(
    head: &Head,
    id: &str,
    ports: &Ports,
    fillings: Vec<Option<Filling<'_>>>,
    max_bytes: usize,
) -> Result<Bytes, Error> {
    let filled: Vec<_> = ports.0.iter().zip(fillings).filter_map(|(port, it)| Some((port, it?))).collect();
    let given = filled.iter().map(|(port, filling)| Given {
        dims: &filling.values.dims,
        // A default may be a single value.
        is_list: !filling.values.dims.is_empty() && filling.field.is_some_and(|field| field.source.is_list()),
        wanted: &port.shape,
    });
    let fitted = fit(&given.collect::<Vec<_>>()).map_err(|(index, mismatch)| {
        let (port, filling) = &filled[index];
        filling.unfit(port, &mismatch)
    })?;
    let bytes =
        filled.iter().zip(&fitted).map(|((_, it), fitted)| it.values.raw.len().saturating_mul(fitted.copies));
    if bytes.fold(0, usize::saturating_add) > max_bytes {
        return Err(Error::invalid(format!("the inputs are too large: expected {max_bytes} bytes at most")));
    }
    let mut request = ModelInferRequest {
        model_name: head.model.clone(),
        model_version: head.version.clone(),
        id: id.to_owned(),
        ..Default::default()
    };
    for ((port, filling), fitted) in filled.into_iter().zip(fitted) {
        let raw = filling.values.raw;
        request
            .raw_input_contents
            .push(if fitted.copies == 1 { raw } else { raw.repeat(fitted.copies) }.into());
        request.inputs.push(InferInputTensor {
            name: port.name.clone(),
            datatype: port.datatype.name().to_owned(),
            shape: fitted.shape.to_vec(),
            ..Default::default()
        });
    }
    let wanted = |name: &String| InferRequestedOutputTensor { name: name.clone(), ..Default::default() };
    request.outputs = head.outputs.iter().map(wanted).collect();
    Ok(request.encode_to_vec().into())
}
