//! A body's named fields, made tensors by the model's signature.

use crate::{
    json::no_request,
    signature::{Listed, Port, Signature},
    tensor::from_nested_json,
};
use infermesh_wire::{Error, Shape};
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value, value::RawValue};
use std::{borrow::Cow, fmt};

/// A key that a model's input may have, too: then it is the input that is meant.
const PARAMETERS: &str = "parameters";
const INSTANCES: &str = "instances";

/// What a body says.
pub struct Given<'s> {
    pub tensors: Vec<Tensor<'s>>,
    pub parameters: Map<String, Value>,
    pub rows: Rows,
}

pub struct Tensor<'s> {
    pub port: &'s Port,
    pub shape: Shape,
    /// Little-endian, as everywhere behind.
    pub raw: Vec<u8>,
}

/// How many rows a request has, where its model batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// One, of which the client does not know that it is one of several.
    One,
    /// As many as the client says.
    Said,
}

/// Fails with INVALID_ARGUMENT for what is not an object of fields of this model.
pub fn read<'s>(signature: &'s Signature, body: &[u8]) -> Result<Given<'s>, Error> {
    let fields = Fields::parse(body, signature)?;
    let mut given = Given { tensors: Vec::new(), parameters: Map::new(), rows: Rows::One };
    let mut instances = None;
    let mut rows = Vec::new();
    for (key, value) in fields.0 {
        let key = &key[..];
        match signature.inputs.iter().find(|port| port.name == key) {
            Some(_) if is_null(value) => {}
            Some(port) => {
                let mut raw = Vec::new();
                let found = from_nested_json(value.get(), &mut raw, port.datatype, &port.name)?;
                let (shape, one) = placed(signature, port, found)?;
                given.tensors.push(Tensor { port, shape, raw });
                rows.push(one);
            }
            None if key == PARAMETERS => given.parameters = parameters(value)?,
            None if key == INSTANCES => instances = Some(value),
            None => return Err(unknown(signature, key)),
        }
    }
    if rows.contains(&Rows::Said) {
        given.rows = Rows::Said;
    }
    let Some(instances) = instances else { return Ok(given) };
    if let Some(tensor) = given.tensors.first() {
        return Err(Error::invalid(format!(
            "found both '{INSTANCES}' and the input '{}': rows have their inputs within '{INSTANCES}'",
            tensor.port.name
        )));
    }
    given.tensors = stacked(signature, instances)?;
    given.rows = Rows::Said;
    Ok(given)
}

/// The shape as the model has it, with a batch of one if it is that which is missing.
fn placed(signature: &Signature, port: &Port, found: Shape) -> Result<(Shape, Rows), Error> {
    if fits(&port.shape, &found) {
        return Ok((found, Rows::Said));
    }
    let rows = if port.batches() { Rows::One } else { Rows::Said };
    if port.batches() && fits(&port.shape[1..], &found) {
        return Ok(([1].into_iter().chain(found).collect(), rows));
    }
    if found.is_empty() && is_one_value(&port.shape) {
        return Ok((port.shape.iter().map(|_| 1).collect(), rows));
    }
    Err(Error::invalid(format!(
        "unexpected shape for input '{}' of model '{}': expected {}{}, got {}",
        port.name,
        signature.model,
        Listed(&port.shape),
        if port.batches() { " or one row of it" } else { "" },
        Listed(&found)
    )))
}

/// One request of several rows, each with the same inputs.
fn stacked<'s>(signature: &'s Signature, rows: &RawValue) -> Result<Vec<Tensor<'s>>, Error> {
    let mut stack = Stack { signature, tensors: Vec::new(), rows: 0, outcome: Ok(()) };
    let read = stack.deserialize(&mut serde_json::Deserializer::from_str(rows.get()));
    stack.outcome?;
    read.map_err(|error| Error::invalid(format!("'{INSTANCES}' is not a list of objects: {error}")))?;
    if stack.rows == 0 {
        return Err(Error::invalid(format!("'{INSTANCES}' is empty, expected at least one row")));
    }
    Ok(stack.tensors)
}

/// Rows that become tensors one by one.
struct Stack<'s> {
    signature: &'s Signature,
    tensors: Vec<Tensor<'s>>,
    rows: usize,
    /// What is wrong with the last row: a reader of JSON has errors of its own kind.
    outcome: Result<(), Error>,
}

impl<'de> DeserializeSeed<'de> for &mut Stack<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for &mut Stack<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(fields) = items.next_element()? {
            self.outcome = self
                .add(fields)
                .map_err(|error| Error::invalid(format!("row {} of '{INSTANCES}': {error}", self.rows)));
            if self.outcome.is_err() {
                return Err(de::Error::custom("a row is wrong"));
            }
            self.rows += 1;
        }
        Ok(())
    }
}

impl Stack<'_> {
    fn add(&mut self, fields: &RawValue) -> Result<(), Error> {
        let Self { signature, tensors, rows, .. } = self;
        for (key, value) in Fields::parse(fields.get().as_bytes(), signature)?.0 {
            let port = signature.inputs.iter().find(|port| port.name == key);
            let port = port.ok_or_else(|| unknown(signature, &key))?;
            if is_null(value) {
                continue;
            }
            if !port.batches() {
                let model = &signature.model;
                return Err(Error::invalid(format!(
                    "model '{model}' takes no rows: it has the input {port}"
                )));
            }
            let at = tensors.iter().position(|tensor| tensor.port.name == port.name);
            if at.is_none() && *rows > 0 {
                return Err(Error::invalid(format!("it has '{}', which row 0 has not", port.name)));
            }
            let at = at.unwrap_or_else(|| {
                tensors.push(Tensor { port, shape: Shape::new(), raw: Vec::new() });
                tensors.len() - 1
            });
            tensors[at].add(value)?;
        }
        match tensors.iter().find(|tensor| tensor.shape[0] != *rows as i64 + 1) {
            Some(tensor) => Err(Error::invalid(format!("it has no '{}', which row 0 has", tensor.port.name))),
            None => Ok(()),
        }
    }
}

impl Tensor<'_> {
    /// The next row's values.
    fn add(&mut self, value: &RawValue) -> Result<(), Error> {
        let (port, inner) = (self.port, &self.port.shape[1..]);
        let mut found = from_nested_json(value.get(), &mut self.raw, port.datatype, &port.name)?;
        if found.is_empty() && is_one_value(inner) {
            found = inner.iter().map(|_| 1).collect();
        }
        if !fits(inner, &found) {
            return Err(Error::invalid(format!(
                "unexpected shape for input '{}': expected {}, got {}",
                port.name,
                Listed(inner),
                Listed(&found)
            )));
        }
        if self.shape.is_empty() {
            self.shape = [0].into_iter().chain(found).collect();
        } else if self.shape[1..] != found[..] {
            return Err(Error::invalid(format!(
                "input '{}' has shape {}, but {} in row 0",
                port.name,
                Listed(&found),
                Listed(&self.shape[1..])
            )));
        }
        self.shape[0] += 1;
        Ok(())
    }
}

fn fits(expected: &[i64], found: &[i64]) -> bool {
    expected.len() == found.len()
        && expected.iter().zip(found).all(|(want, have)| *want == -1 || want == have)
}

/// Whether a value without any list around it can be meant.
fn is_one_value(shape: &[i64]) -> bool {
    shape.iter().all(|&dim| dim == 1 || dim == -1)
}

/// As good as not given.
fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

fn parameters(value: &RawValue) -> Result<Map<String, Value>, Error> {
    serde_json::from_str(value.get())
        .map_err(|error| Error::invalid(format!("'{PARAMETERS}' is not an object: {error}")))
}

fn unknown(signature: &Signature, key: &str) -> Error {
    let known: Vec<_> = signature.inputs.iter().map(Port::to_string).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Error::invalid(format!("model '{}' has no input '{key}'; it has {known}", signature.model))
}

/// An object's fields in their order, each once, their values unread.
struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Fields<'a> {
    /// Of more fields than a model can have so many are read that one is wrong.
    fn parse(text: &'a [u8], signature: &Signature) -> Result<Self, Error> {
        let mut reader = serde_json::Deserializer::from_slice(text);
        let most = signature.inputs.len() + [PARAMETERS, INSTANCES].len();
        let fields = reader.deserialize_map(Reader { most });
        let fields = fields.and_then(|fields| reader.end().map(|()| fields));
        let fields = fields.map_err(|error| no_request(&error))?;
        let is_repeated = |index: &usize| fields[..*index].iter().any(|(key, _)| *key == fields[*index].0);
        match (0..fields.len()).find(is_repeated) {
            Some(index) => Err(Error::invalid(format!("field '{}' is given twice", fields[index].0))),
            None => Ok(Self(fields)),
        }
    }
}

#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

struct Reader {
    most: usize,
}

impl<'de> Visitor<'de> for Reader {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of named fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while fields.len() <= self.most
            && let Some((Key(key), value)) = map.next_entry()?
        {
            fields.push((key, value));
        }
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(fields)
    }
}
