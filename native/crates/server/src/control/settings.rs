//! `TraceSetting` and `LogSettings`: what is observed can be changed while the server runs.

use crate::shared::Local;
use infermesh_telemetry::rules::{Change, number};
use infermesh_wire::{
    Code, Error,
    proto::inference::{
        LogSettingsRequest, LogSettingsResponse, TraceSettingRequest, TraceSettingResponse,
        log_settings_request, log_settings_response, trace_setting_request, trace_setting_response,
    },
};
use std::{collections::HashMap, sync::Arc};

/// A log setting's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    Bool(bool),
    Unsigned(u32),
    Text(String),
}

/// The process's log, which is not the data plane's. Called on a thread that may block.
pub trait LogControl: Send + Sync {
    /// Changes what is given, all or nothing, and returns every setting. `None` is a value of no known type.
    fn change(&self, settings: Vec<(String, Option<Setting>)>) -> Result<Vec<(String, Setting)>, Error>;
}

/// The lowest that a count can be: any number.
const MIN_TRACE_COUNT: i64 = -1;

pub fn trace_setting(local: &Local, request: TraceSettingRequest) -> Result<TraceSettingResponse, Error> {
    let (model, traces) = (&request.model_name, &local.shared.traces);
    if !model.is_empty() && local.shared.registry.find(model, "").is_err() {
        return Err(Error::invalid(format!("Request for unknown model : {model}")));
    }
    if !request.settings.is_empty() {
        traces.rules.change(model, change(request.settings)?);
    }
    let rule = traces.rules.rule(model);
    let level = if rule.on { "TIMESTAMPS" } else { "OFF" };
    let fixed = [
        ("trace_level", level.to_owned()),
        ("trace_rate", rule.rate.to_string()),
        ("trace_count", rule.remaining().to_string()),
        ("trace_mode", "opentelemetry".to_owned()),
    ];
    let fixed = fixed.into_iter().map(|(name, value)| (name.to_owned(), value));
    let settings = fixed.chain(traces.shown().iter().cloned());
    Ok(TraceSettingResponse {
        settings: settings
            .map(|(name, value)| (name, trace_setting_response::SettingValue { value: vec![value] }))
            .collect(),
    })
}

fn change(settings: HashMap<String, trace_setting_request::SettingValue>) -> Result<Change, Error> {
    let mut change = Change::default();
    for (name, setting) in settings {
        let values = setting.value;
        match &name[..] {
            "trace_level" => change.on = Some(level(&values)?),
            "trace_rate" => {
                let rate = one(&name, &values)?.map(|it| number(&name, it, 0, u32::MAX.into()));
                change.rate = Some(rate.transpose()?.and_then(|rate| rate.try_into().ok()));
            }
            "trace_count" => {
                let count = one(&name, &values)?.map(count).transpose()?;
                change.count = Some(count);
            }
            "trace_file" => {
                return Err(unsupported("trace file location can not be updated through network protocol"));
            }
            "trace_mode" => {
                return Err(unsupported("trace mode can not be updated through network protocol"));
            }
            "log_frequency" if values.is_empty() => {}
            "log_frequency" => {
                return Err(unsupported(
                    "log_frequency is a setting of trace mode triton, and this server traces in mode opentelemetry",
                ));
            }
            _ => {
                return Err(Error::invalid(format!(
                    "unknown trace setting '{name}', expected trace_level, trace_rate or trace_count"
                )));
            }
        }
    }
    Ok(change)
}

fn level(values: &[String]) -> Result<Option<bool>, Error> {
    let mut on = None;
    for value in values {
        match &value[..] {
            "OFF" if values.len() > 1 => {
                return Err(Error::invalid("Expect only one trace level 'OFF' is specified"));
            }
            "OFF" => on = Some(false),
            "TIMESTAMPS" => on = Some(true),
            "TENSORS" => {
                return Err(unsupported("trace level TENSORS is not supported in trace mode opentelemetry"));
            }
            _ => {
                return Err(Error::invalid(format!(
                    "Unable to parse 'trace_level', expected OFF or TIMESTAMPS, got: {value}"
                )));
            }
        }
    }
    Ok(on)
}

fn count(value: &str) -> Result<i32, Error> {
    let count = number("trace_count", value, i32::MIN.into(), i32::MAX.into())?;
    match i32::try_from(count) {
        Ok(count) if i64::from(count) >= MIN_TRACE_COUNT => Ok(count),
        _ => Err(Error::invalid(format!(
            "Unable to parse 'trace_count'. Expecting value >= {MIN_TRACE_COUNT}, got: {value}"
        ))),
    }
}

/// The value of a setting that has one; `None` gives it back to the level above.
fn one<'a>(name: &str, values: &'a [String]) -> Result<Option<&'a str>, Error> {
    match values {
        [] => Ok(None),
        [value] => Ok(Some(value)),
        _ => Err(Error::invalid(format!("expect only 1 value for '{name}'"))),
    }
}

fn unsupported(message: &'static str) -> Error {
    Error::new(Code::Unimplemented, message)
}

pub async fn log_settings(local: &Local, request: LogSettingsRequest) -> Result<LogSettingsResponse, Error> {
    use log_settings_request::setting_value::ParameterChoice as Given;
    use log_settings_response::{SettingValue, setting_value::ParameterChoice as Shown};

    let given = request.settings.into_iter().map(|(name, setting)| {
        let value = setting.parameter_choice.map(|choice| match choice {
            Given::BoolParam(value) => Setting::Bool(value),
            Given::Uint32Param(value) => Setting::Unsigned(value),
            Given::StringParam(value) => Setting::Text(value),
        });
        (name, value)
    });
    let settings = change_log(local, given.collect()).await?.into_iter().map(|(name, value)| {
        let choice = match value {
            Setting::Bool(value) => Shown::BoolParam(value),
            Setting::Unsigned(value) => Shown::Uint32Param(value),
            Setting::Text(value) => Shown::StringParam(value),
        };
        (name, SettingValue { parameter_choice: Some(choice) })
    });
    Ok(LogSettingsResponse { settings: settings.collect() })
}

/// Changes what is given and returns every setting.
async fn change_log(
    local: &Local,
    given: Vec<(String, Option<Setting>)>,
) -> Result<Vec<(String, Setting)>, Error> {
    let control: Arc<dyn LogControl> = local
        .shared
        .log_control
        .get()
        .cloned()
        .ok_or_else(|| Error::new(Code::Unavailable, "the server does not support dynamic logging"))?;
    tokio::task::spawn_blocking(move || control.change(given))
        .await
        .unwrap_or_else(|_| Err(Error::internal("the log control panicked")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(name: &str, values: &[&str]) -> Result<Change, Error> {
        let value = values.iter().map(|value| (*value).to_owned()).collect();
        change(HashMap::from([(name.to_owned(), trace_setting_request::SettingValue { value })]))
    }

    fn refusal(name: &str, values: &[&str]) -> (Code, String) {
        let error = changed(name, values).unwrap_err();
        (error.code, error.message.into_owned())
    }

    #[test]
    fn what_is_given_is_changed() {
        let of = |on, rate, count| Ok(Change { on, rate, count });
        assert_eq!(changed("trace_level", &["TIMESTAMPS"]), of(Some(Some(true)), None, None));
        assert_eq!(changed("trace_level", &[]), of(Some(None), None, None));
        assert_eq!(changed("trace_rate", &["4294967295"]), of(None, Some(Some(u32::MAX)), None));
        assert_eq!(changed("trace_rate", &[]), of(None, Some(None), None));
        assert_eq!(changed("trace_count", &["-1"]), of(None, None, Some(Some(-1))));
        assert_eq!(changed("log_frequency", &[]), of(None, None, None));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let invalid = |name, values: &[&str], message: &str| {
            assert_eq!(refusal(name, values), (Code::InvalidArgument, message.to_owned()));
        };
        invalid("trace_level", &["OFF", "OFF"], "Expect only one trace level 'OFF' is specified");
        invalid("trace_rate", &["1", "2"], "expect only 1 value for 'trace_rate'");
        invalid(
            "trace_rate",
            &["-1"],
            "Unable to parse 'trace_rate', value is out of range [ 0, 4294967295 ], got: -1",
        );
        invalid("trace_count", &["-2"], "Unable to parse 'trace_count'. Expecting value >= -1, got: -2");
        invalid("trace_count", &["few"], "Unable to parse 'trace_count', got: few");
        for (name, value) in [
            ("trace_file", "x"),
            ("trace_mode", "triton"),
            ("trace_level", "TENSORS"),
            ("log_frequency", "5"),
        ] {
            assert_eq!(refusal(name, &[value]).0, Code::Unimplemented, "{name}");
        }
        for (name, value) in [("trace_level", "LOUD"), ("trace_lvl", "OFF")] {
            assert_eq!(refusal(name, &[value]).0, Code::InvalidArgument, "{name}");
        }
    }
}
