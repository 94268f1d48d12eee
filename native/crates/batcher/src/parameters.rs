//! The `parameters` of a model's configuration that are the batcher's, not a backend's.

use infermesh_wire::{Error, proto::inference::ModelConfig};
use std::time::Duration;

/// Milliseconds from a request's arrival to its answer: a deadline for requests of any caller.
const SLO_MS: &str = "slo_ms";

/// An objective beyond a day would overflow clocks and is none.
const MOST_MS: f64 = 24.0 * 3600.0 * 1000.0;

/// Fails with INVALID_ARGUMENT if the objective is not a number above 0.
pub fn slo(config: &ModelConfig) -> Result<Option<Duration>, Error> {
    let Some(parameter) = config.parameters.get(SLO_MS) else { return Ok(None) };
    let given = parameter.string_value.trim();
    let ms = given.parse::<f64>().ok().filter(|&ms| ms > 0.0 && ms <= MOST_MS);
    let ms = ms.ok_or_else(|| {
        Error::invalid(format!(
            "parameter '{SLO_MS}' is '{given}', expected a number of milliseconds above 0, at most {MOST_MS}"
        ))
    })?;
    Ok(Some(Duration::from_secs_f64(ms / 1e3)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use infermesh_wire::proto::inference::ModelParameter;

    fn read(value: &str) -> Result<Option<Duration>, Error> {
        let parameter = ModelParameter { string_value: value.into() };
        slo(&ModelConfig { parameters: [(SLO_MS.into(), parameter)].into(), ..Default::default() })
    }

    #[test]
    fn an_objective_is_a_number_of_milliseconds() {
        assert_eq!(slo(&ModelConfig::default()), Ok(None));
        assert_eq!(read("50"), Ok(Some(Duration::from_millis(50))));
        assert_eq!(read(" 2.5 "), Ok(Some(Duration::from_micros(2_500))));
        for wrong in ["", "0", "-1", "fast", "NaN", "inf", "1e300"] {
            let error = read(wrong).unwrap_err();
            assert!(error.message.starts_with("parameter 'slo_ms' is '"), "{error}");
        }
    }
}
