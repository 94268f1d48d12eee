//! The JSON form of trace and log settings, which is not that of their messages: values stand for themselves.

use super::answer::{self, Answer};
use crate::{
    control::settings::{self, Setting},
    shared::Local,
};
use infermesh_wire::{
    Error,
    proto::inference::{TraceSettingRequest, trace_setting_request::SettingValue},
};
use serde_json::{Map, Value, json};

/// Of a model, or of the server if its name is empty.
pub fn trace(local: &Local, model_name: String, given: Map<String, Value>) -> Result<Answer, Error> {
    let settings = given
        .into_iter()
        .map(|(name, value)| Ok((name.clone(), SettingValue { value: values(&name, value)? })))
        .collect::<Result<_, Error>>()?;
    let found = settings::trace_setting(local, TraceSettingRequest { settings, model_name })?;
    let shown = found.settings.into_iter().map(|(name, mut setting)| {
        let value = match &name[..] {
            "trace_level" => json!(setting.value),
            _ => json!(setting.value.pop()),
        };
        (name, value)
    });
    Ok(answer::json(Value::Object(shown.collect()).to_string().into_bytes()))
}

/// Null clears; the levels are a list, everything else is a string.
fn values(name: &str, value: Value) -> Result<Vec<String>, Error> {
    let text = |value| match value {
        Value::String(text) => Ok(text),
        _ => Err(Error::invalid("attempt to access JSON non-string as string")),
    };
    match (name, value) {
        (_, Value::Null) => Ok(Vec::new()),
        ("trace_level", Value::Array(levels)) => levels.into_iter().map(text).collect(),
        ("trace_level", _) => Err(Error::invalid("attempt to access JSON non-array as array")),
        (_, value) => Ok(vec![text(value)?]),
    }
}

pub async fn log(local: &Local, given: Map<String, Value>) -> Result<Answer, Error> {
    // As in Triton, null leaves a setting as it is.
    let given = given.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| {
        let setting = match value {
            Value::Bool(value) => Some(Setting::Bool(value)),
            Value::String(value) => Some(Setting::Text(value)),
            value => value.as_u64().and_then(|number| number.try_into().ok()).map(Setting::Unsigned),
        };
        (name, setting)
    });
    let shown = settings::change_log(local, given.collect()).await?.into_iter().map(|(name, setting)| {
        let value = match setting {
            Setting::Bool(value) => json!(value),
            Setting::Unsigned(value) => json!(value),
            Setting::Text(value) => json!(value),
        };
        (name, value)
    });
    Ok(answer::json(Value::Object(shown.collect()).to_string().into_bytes()))
}
