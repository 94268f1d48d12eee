//! Parameters of requests, answers and tensors, in JSON.

use crate::tensor::name_of;
use infermesh_wire::{
    Error,
    request::{Parameter, Parameters},
};
use serde_json::{Map, Value, json};

/// What says how values travel over HTTP, and nothing elsewhere.
const CARRIERS: [&str; 3] = ["binary_data", "binary_data_output", "binary_data_size"];

/// Fails with INVALID_ARGUMENT for a value that is a list or an object.
pub fn from_json(given: &Map<String, Value>) -> Result<Parameters<'_>, Error> {
    let mut parameters = Parameters::default();
    for (key, value) in given.iter().filter(|(key, _)| !CARRIERS.contains(&&key[..])) {
        let value = match value {
            Value::Bool(value) => Parameter::Bool(*value),
            Value::String(value) => Parameter::String(value),
            Value::Number(value) => match (value.as_i64(), value.as_u64(), value.as_f64()) {
                (Some(value), _, _) => Parameter::Int64(value),
                (_, Some(value), _) => Parameter::Uint64(value),
                (_, _, value) => Parameter::Double(value.unwrap_or_default()),
            },
            Value::Null => Parameter::Unset,
            Value::Array(_) | Value::Object(_) => {
                return Err(Error::invalid(format!(
                    "parameter '{key}' is neither a boolean, a number nor a string"
                )));
            }
        };
        parameters.push(key, value);
    }
    Ok(parameters)
}

/// In the order of their names.
pub fn to_json(parameters: &Parameters<'_>) -> Map<String, Value> {
    let value = |parameter| match parameter {
        Parameter::Unset => Value::Null,
        Parameter::Bool(value) => json!(value),
        Parameter::Int64(value) => json!(value),
        Parameter::String(value) => json!(value),
        Parameter::Double(value) if value.is_finite() => json!(value),
        Parameter::Double(value) => json!(name_of(value)),
        Parameter::Uint64(value) => json!(value),
    };
    parameters.iter().map(|(key, parameter)| (key.to_owned(), value(parameter))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_go_there_and_back() {
        let text = r#"{"a":true,"b":-1,"c":18446744073709551615,"d":0.5,"e":"x","f":null}"#;
        let given: Map<String, Value> = serde_json::from_str(text).unwrap();
        let read = from_json(&given).unwrap();
        assert_eq!(read.get("c"), Some(Parameter::Uint64(u64::MAX)));
        assert_eq!(read.get("f"), Some(Parameter::Unset));
        assert_eq!(Value::Object(to_json(&read)).to_string(), text);
    }

    #[test]
    fn how_values_travel_is_no_parameter() {
        let given = json!({"binary_data_output": true, "binary_data": 1, "binary_data_size": [], "k": 1});
        let read = from_json(given.as_object().unwrap()).unwrap();
        assert_eq!(read.iter().collect::<Vec<_>>(), [("k", Parameter::Int64(1))]);
    }
}
