//! The model parameter `allowed_batch_sizes`, as TensorFlow Serving names it: "1,2,4,8".

use infermesh_batcher::Buckets;
use infermesh_wire::{Error, proto::inference::ModelConfig};

const PARAMETER: &str = "allowed_batch_sizes";

/// Fails with INVALID_ARGUMENT unless the sizes ascend and end with max_batch_size.
pub fn buckets(config: &ModelConfig) -> Result<Buckets, Error> {
    let Some(parameter) = config.parameters.get(PARAMETER) else { return Ok(Buckets::default()) };
    let text = parameter.string_value.trim();
    let wrong =
        |expected: String| Error::invalid(format!("{PARAMETER}: found '{text}', expected {expected}"));
    if config.max_batch_size < 1 {
        return Err(wrong("none: the model does not batch (max_batch_size is 0)".into()));
    }
    let sizes: Vec<usize> = text
        .split(',')
        .map(|size| size.trim().parse().ok().filter(|&size| size > 0))
        .collect::<Option<_>>()
        .ok_or_else(|| wrong("numbers of at least 1 between commas, such as 1,2,4,8".into()))?;
    if !sizes.is_sorted_by(|one, next| one < next) {
        return Err(wrong("sizes in ascending order, each once".into()));
    }
    if sizes.last() != Some(&(config.max_batch_size as usize)) {
        return Err(wrong(format!("max_batch_size, which is {}, as the last", config.max_batch_size)));
    }
    Ok(Buckets::new(sizes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use infermesh_wire::proto::inference::ModelParameter;

    fn of(text: &str, max_batch_size: i32) -> Result<Vec<usize>, String> {
        let parameters = [(PARAMETER.to_owned(), ModelParameter { string_value: text.into() })].into();
        let config = ModelConfig { max_batch_size, parameters, ..Default::default() };
        buckets(&config).map(|buckets| buckets.sizes().to_vec()).map_err(|error| error.message.into_owned())
    }

    #[test]
    fn sizes_are_read() {
        assert_eq!(of("1, 2,4 ,8", 8), Ok(vec![1, 2, 4, 8]));
        assert_eq!(buckets(&ModelConfig::default()), Ok(Buckets::default()));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let expected = |text: &str, expected: &str| {
            Err(format!("allowed_batch_sizes: found '{text}', expected {expected}"))
        };
        let numbers = "numbers of at least 1 between commas, such as 1,2,4,8";
        assert_eq!(of("", 8), expected("", numbers));
        assert_eq!(of("1,x", 8), expected("1,x", numbers));
        assert_eq!(of("0,8", 8), expected("0,8", numbers));
        assert_eq!(of("4,2,8", 8), expected("4,2,8", "sizes in ascending order, each once"));
        assert_eq!(of("8,8", 8), expected("8,8", "sizes in ascending order, each once"));
        assert_eq!(of("1,4", 8), expected("1,4", "max_batch_size, which is 8, as the last"));
        assert_eq!(of("1,16", 8), expected("1,16", "max_batch_size, which is 8, as the last"));
        assert_eq!(of("1", 0), expected("1", "none: the model does not batch (max_batch_size is 0)"));
    }
}
