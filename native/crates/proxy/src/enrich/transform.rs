//! What passes between a rule and a function in Python, where `transform` names one: fields there, tensors
//! back. Both are JSON, so whoever carries them need not know what they mean.

use super::{
    extract::Field,
    ports::{Port, Ports},
    select::{Found, Values},
};
use infermesh_wire::{Code, Error};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// What a function is called with. A value of the body is passed on in the digits and the order it was
/// written in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Call {
    /// `module:function`.
    pub function: String,
    /// The rule's name.
    pub rule: String,
    pub model: String,
    /// Those that may be filled.
    pub inputs: Vec<Input>,
    /// By the names of the rule's fields.
    pub fields: BTreeMap<String, Box<RawValue>>,
}

/// What the model says of an input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Input {
    pub name: String,
    pub datatype: String,
    /// With -1 for any size.
    pub shape: Vec<i64>,
}

/// What it returns.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// By the names of the model's inputs: a value, or lists of lists as deep as the input has dimensions,
    /// less leading ones of size 1.
    #[serde(default)]
    pub tensors: BTreeMap<String, Box<RawValue>>,
    /// Why there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Fails with INVALID_ARGUMENT for what cannot be a function of a module.
pub fn check_function(text: &str) -> Result<(), Error> {
    let is_name = |name: &str| {
        name.chars().all(|it| it == '_' || it.is_alphanumeric())
            && !name.starts_with(|it: char| it.is_numeric())
    };
    let are_names = |names: &str| names.split('.').all(|name| !name.is_empty() && is_name(name));
    match text.split_once(':') {
        Some((module, function)) if are_names(module) && are_names(function) => Ok(()),
        _ => Err(Error::invalid(format!("transform: found '{text}', expected MODULE:FUNCTION"))),
    }
}

impl Call {
    /// Fails with INVALID_ARGUMENT if a field has nothing to give.
    pub fn new(
        function: &str,
        rule: &str,
        model: &str,
        ports: &Ports,
        fields: &[Field],
        values: &Values<'_>,
    ) -> Result<Self, Error> {
        let input = |port: &Port| Input {
            name: port.name.clone(),
            datatype: port.datatype.name().to_owned(),
            shape: port.shape.to_vec(),
        };
        let value = |field: &Field| {
            let mut json = String::new();
            write(&field.value(values)?, field, &mut json)?;
            let json = RawValue::from_string(json).map_err(|error| Error::internal(error.to_string()))?;
            Ok((field.name.clone(), json))
        };
        Ok(Self {
            function: function.to_owned(),
            rule: rule.to_owned(),
            model: model.to_owned(),
            inputs: ports.0.iter().map(input).collect(),
            fields: fields.iter().map(value).collect::<Result<_, Error>>()?,
        })
    }

    pub fn to_json(&self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec(self).map_err(|error| Error::internal(error.to_string()))
    }
}

fn write(found: &Found<'_>, field: &Field, out: &mut String) -> Result<(), Error> {
    match found {
        Found::Nothing | Found::Json("null") => match &field.default {
            Some(default) => out.push_str(default),
            None => {
                let message = format!("{}: found nothing, expected a value (or a default)", field.label());
                return Err(Error::invalid(message));
            }
        },
        Found::Text(text) => out.push_str(&serde_json::Value::from(&**text).to_string()),
        Found::Json(json) => out.push_str(json),
        Found::Each(each) => {
            out.push('[');
            for (index, found) in each.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                write(found, field, out)?;
            }
            out.push(']');
        }
    }
    Ok(())
}

impl Reply {
    /// Fails with INTERNAL if it is no reply, or says that the function failed.
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        let reply: Self = serde_json::from_slice(json).map_err(|error| {
            Error::internal(format!("the transform's reply is not {{\"tensors\": {{...}}}}: {error}"))
        })?;
        match reply.error {
            None => Ok(reply),
            Some(error) => Err(Error::internal(format!("the transform failed: {error}"))),
        }
    }

    /// Fails with NOT_FOUND for a tensor that the model has no input for.
    pub fn check(&self, ports: &Ports) -> Result<(), Error> {
        match self.tensors.keys().find(|name| ports.0.iter().all(|port| port.name != **name)) {
            None => Ok(()),
            Some(name) => Err(Error::new(
                Code::NotFound,
                format!("the transform returned '{name}': {}", ports.unknown(name)),
            )),
        }
    }
}
