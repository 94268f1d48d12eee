//! The model parameter `ragged_padding`: the value with which ragged inputs are padded, of all of them, or of one with
//! its name behind a dot.

use bytes::Bytes;
use infermesh_wire::{
    DataType, Error,
    proto::inference::{ModelConfig, ModelInput},
};

const PARAMETER: &str = "ragged_padding";

/// The parameter that counts for an input, and its value.
fn given<'a>(config: &'a ModelConfig, input: &str) -> Option<(String, &'a str)> {
    let own = format!("{PARAMETER}.{input}");
    [own, PARAMETER.to_owned()]
        .into_iter()
        .find_map(|key| Some((key.clone(), config.parameters.get(&key)?.string_value.as_str())))
}

/// Whether a parameter of this name says with what to pad.
pub fn is_padding(key: &str) -> bool {
    key.strip_prefix(PARAMETER).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Whether a ragged input is padded, instead of being laid end to end.
pub fn is_padded(config: &ModelConfig, input: &str) -> bool {
    given(config, input).is_some()
}

/// The bytes of one element of padding; `None` where there is to be none.
///
/// Fails with INVALID_ARGUMENT naming a value that the input's type cannot hold.
pub(super) fn padding(config: &ModelConfig, input: &ModelInput) -> Result<Option<Bytes>, Error> {
    let Some((key, value)) = given(config, &input.name) else { return Ok(None) };
    let datatype = DataType::from_config(input.data_type)
        .ok_or_else(|| Error::invalid(format!("input '{}' has no data_type", input.name)))?;
    let element = element(datatype, value).ok_or_else(|| {
        Error::invalid(format!(
            "parameter '{key}' is '{value}', expected a value of {} for input '{}'",
            datatype.name(),
            input.name
        ))
    })?;
    Ok(Some(element.into()))
}

fn element(datatype: DataType, value: &str) -> Option<Vec<u8>> {
    macro_rules! number {
        ($kind:ty) => {
            value.trim().parse::<$kind>().ok().map(|number| number.to_le_bytes().to_vec())
        };
    }
    match datatype {
        DataType::Bool => match value.trim() {
            "0" | "false" => Some(vec![0]),
            "1" | "true" => Some(vec![1]),
            _ => None,
        },
        DataType::Uint8 => number!(u8),
        DataType::Uint16 => number!(u16),
        DataType::Uint32 => number!(u32),
        DataType::Uint64 => number!(u64),
        DataType::Int8 => number!(i8),
        DataType::Int16 => number!(i16),
        DataType::Int32 => number!(i32),
        DataType::Int64 => number!(i64),
        DataType::Fp32 => number!(f32),
        DataType::Fp64 => number!(f64),
        DataType::Fp16 => nearest(value, 10),
        DataType::Bf16 => nearest(value, 7),
        DataType::Bytes => Some([&(value.len() as u32).to_le_bytes()[..], value.as_bytes()].concat()),
    }
}

/// The number of 16 bits, so many of them its fraction, that is nearest. Found by looking at all of them, once per load.
fn nearest(value: &str, fraction: i32) -> Option<Vec<u8>> {
    let value: f64 = value.trim().parse().ok()?;
    if value.is_nan() {
        return Some(u16::MAX.to_le_bytes().to_vec());
    }
    let magnitude = |bits: u16| {
        let (exponent, rest) = (i32::from(bits >> fraction), f64::from(bits) % 2f64.powi(fraction));
        let (bias, share) = ((1 << (14 - fraction)) - 1, rest / 2f64.powi(fraction));
        match exponent {
            0 => share * 2f64.powi(1 - bias),
            _ => (1.0 + share) * 2f64.powi(exponent - bias),
        }
    };
    let infinity = ((1u16 << (15 - fraction)) - 1) << fraction;
    let distance = |bits: &u16| (magnitude(*bits) - value.abs()).abs();
    let found = match value.is_infinite() {
        true => infinity,
        // What lies where the next number would be is too large.
        false if value.abs() >= magnitude(infinity) => return None,
        false => (0..infinity).min_by(|one, other| distance(one).total_cmp(&distance(other)))?,
    };
    let sign = u16::from(value.is_sign_negative()) << 15;
    Some((found | sign).to_le_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use infermesh_wire::proto::inference::ModelParameter;

    fn config(parameters: &[(&str, &str)]) -> ModelConfig {
        let parameter = |(key, value): &(&str, &str)| {
            (key.to_string(), ModelParameter { string_value: value.to_string() })
        };
        ModelConfig { parameters: parameters.iter().map(parameter).collect(), ..Default::default() }
    }

    fn of(config: &ModelConfig, name: &str, datatype: DataType) -> Result<Option<Bytes>, Error> {
        let data_type = datatype.to_config() as i32;
        padding(config, &ModelInput { name: name.into(), data_type, ..Default::default() })
    }

    #[test]
    fn an_input_has_its_own_value_or_the_models() {
        let config = config(&[("ragged_padding", "1"), ("ragged_padding.a.b", " -2 ")]);
        assert_eq!(of(&config, "x", DataType::Int32).unwrap().unwrap()[..], 1i32.to_le_bytes());
        assert_eq!(of(&config, "a.b", DataType::Int64).unwrap().unwrap()[..], (-2i64).to_le_bytes());
        assert_eq!(of(&ModelConfig::default(), "x", DataType::Int32), Ok(None));
    }

    #[test]
    fn values_are_of_the_inputs_type() {
        let value = |datatype, value: &str| element(datatype, value);
        assert_eq!(value(DataType::Bool, "true"), Some(vec![1]));
        assert_eq!(value(DataType::Fp32, "-inf"), Some(f32::NEG_INFINITY.to_le_bytes().to_vec()));
        assert_eq!(value(DataType::Bytes, "[PAD]"), Some(b"\x05\0\0\0[PAD]".to_vec()));
        assert_eq!(value(DataType::Bytes, ""), Some(vec![0; 4]));
        let config = config(&[("ragged_padding.x", "300")]);
        let error = of(&config, "x", DataType::Uint8).unwrap_err();
        let expected = "parameter 'ragged_padding.x' is '300', expected a value of UINT8 for input 'x'";
        assert_eq!(error.message, expected);
        for (datatype, wrong) in [(DataType::Bool, "2"), (DataType::Int8, ""), (DataType::Fp64, "x")] {
            assert_eq!(value(datatype, wrong), None, "{wrong}");
        }
    }

    #[test]
    fn numbers_of_16_bits_are_rounded() {
        let bits = |datatype, value: &str| {
            element(datatype, value).map(|bytes| u16::from_le_bytes(bytes.try_into().unwrap()))
        };
        for (value, half, brain) in [
            ("0", 0, 0),
            ("1", 0x3c00, 0x3f80),
            ("-1.5", 0xbe00, 0xbfc0),
            ("0.1", 0x2e66, 0x3dcd),
            ("-inf", 0xfc00, 0xff80),
        ] {
            assert_eq!(bits(DataType::Fp16, value), Some(half), "{value}");
            assert_eq!(bits(DataType::Bf16, value), Some(brain), "{value}");
        }
        assert_eq!((bits(DataType::Fp16, "65504"), bits(DataType::Fp16, "65536")), (Some(0x7bff), None));
        assert_eq!(bits(DataType::Fp16, "6e-8"), Some(1));
    }
}
