//! The JSON form of trace and log settings, which is not that of their messages: values stand for themselves.

use crate::{
    answer::{self, Answer},
    json,
};
use infermesh_wire::{
    Error,
    proto::inference::{
        LogSettingsRequest, LogSettingsResponse, TraceSettingRequest, TraceSettingResponse,
        log_settings_request::{self, setting_value::ParameterChoice as Given},
        log_settings_response::setting_value::ParameterChoice as Shown,
        trace_setting_request::SettingValue,
    },
};
use serde_json::{Map, Value, json};

/// Of a model, or of the server if its name is empty.
pub fn trace_request(model_name: String, body: &[u8]) -> Result<TraceSettingRequest, Error> {
    let settings = json::parsed::<Map<String, Value>>(body)?
        .into_iter()
        .map(|(name, value)| Ok((name.clone(), SettingValue { value: values(&name, value)? })))
        .collect::<Result<_, Error>>()?;
    Ok(TraceSettingRequest { settings, model_name })
}

pub fn trace(found: TraceSettingResponse) -> Answer {
    let shown = found.settings.into_iter().map(|(name, mut setting)| {
        let value = match &name[..] {
            "trace_level" => json!(setting.value),
            _ => json!(setting.value.pop()),
        };
        (name, value)
    });
    answer::json(Value::Object(shown.collect()).to_string())
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

pub fn log_request(body: &[u8]) -> Result<LogSettingsRequest, Error> {
    let given = json::parsed::<Map<String, Value>>(body)?;
    // As in Triton, null leaves a setting as it is.
    let settings = given.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| {
        let choice = match value {
            Value::Bool(value) => Some(Given::BoolParam(value)),
            Value::String(value) => Some(Given::StringParam(value)),
            value => value.as_u64().and_then(|number| number.try_into().ok()).map(Given::Uint32Param),
        };
        (name, log_settings_request::SettingValue { parameter_choice: choice })
    });
    Ok(LogSettingsRequest { settings: settings.collect() })
}

pub fn log(found: LogSettingsResponse) -> Answer {
    let shown = found.settings.into_iter().map(|(name, setting)| {
        let value = match setting.parameter_choice {
            Some(Shown::BoolParam(value)) => json!(value),
            Some(Shown::Uint32Param(value)) => json!(value),
            Some(Shown::StringParam(value)) => json!(value),
            None => Value::Null,
        };
        (name, value)
    });
    answer::json(Value::Object(shown.collect()).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use infermesh_wire::proto::inference::{log_settings_response, trace_setting_response};

    #[test]
    fn levels_are_a_list_and_null_clears() {
        let body = br#"{"trace_level": ["TIMESTAMPS"], "trace_rate": "7", "trace_count": null}"#;
        let request = trace_request("m".into(), body).unwrap();
        assert_eq!(request.model_name, "m");
        assert_eq!(request.settings["trace_level"].value, ["TIMESTAMPS"]);
        assert_eq!(request.settings["trace_rate"].value, ["7"]);
        assert!(request.settings["trace_count"].value.is_empty());
        let settings = request.settings.into_iter();
        let settings =
            settings.map(|(name, it)| (name, trace_setting_response::SettingValue { value: it.value }));
        let answer = trace(TraceSettingResponse { settings: settings.collect() });
        assert_eq!(
            answer.body().concat(),
            br#"{"trace_count":null,"trace_level":["TIMESTAMPS"],"trace_rate":"7"}"#
        );
    }

    #[test]
    fn what_is_no_setting_of_traces_is_refused() {
        for body in [r#"{"trace_level": "OFF"}"#, r#"{"trace_rate": 7}"#, r#"{"trace_level": [1]}"#, "[]"] {
            assert!(trace_request(String::new(), body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn log_settings_stand_for_themselves() {
        let body = br#"{"log_info": true, "log_verbose_level": 1, "log_format": "x", "a": null, "b": -1}"#;
        let request = log_request(body).unwrap();
        let given = |name: &str| request.settings[name].parameter_choice.clone();
        assert_eq!(given("log_info"), Some(Given::BoolParam(true)));
        assert_eq!(given("log_verbose_level"), Some(Given::Uint32Param(1)));
        assert_eq!(given("log_format"), Some(Given::StringParam("x".into())));
        assert_eq!((request.settings.len(), given("b")), (4, None));
        let shown = |choice| log_settings_response::SettingValue { parameter_choice: Some(choice) };
        let settings = [
            ("log_info".into(), shown(Shown::BoolParam(true))),
            ("log_verbose_level".into(), shown(Shown::Uint32Param(1))),
            ("log_format".into(), shown(Shown::StringParam("x".into()))),
        ];
        assert_eq!(
            log(LogSettingsResponse { settings: settings.into() }).body().concat(),
            br#"{"log_format":"x","log_info":true,"log_verbose_level":1}"#
        );
    }
}
