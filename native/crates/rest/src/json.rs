//! Messages of the protocol in their JSON form: field names as in the .proto files, 64-bit integers as numbers.

use infermesh_wire::{DESCRIPTORS, Error};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde::de::DeserializeOwned;
use std::sync::LazyLock;

static POOL: LazyLock<Option<DescriptorPool>> = LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).ok());

/// `name` is that of the message in package `inference`. `complete` writes fields that have their default value, too.
pub fn of(message: &impl Message, name: &str, complete: bool) -> Result<Vec<u8>, Error> {
    let failed = |why: &str| Error::internal(format!("inference.{name} has no JSON form: {why}"));
    let pool = POOL.as_ref().ok_or_else(|| failed("the descriptors are damaged"))?;
    let descriptor = pool
        .get_message_by_name(&format!("inference.{name}"))
        .ok_or_else(|| failed("there is no such message"))?;
    let message = DynamicMessage::decode(descriptor, &message.encode_to_vec()[..])
        .map_err(|error| failed(&error.to_string()))?;
    let options = SerializeOptions::new()
        .use_proto_field_name(true)
        .stringify_64_bit_integers(false)
        .skip_default_fields(!complete);
    let mut text = Vec::new();
    message
        .serialize_with_options(&mut serde_json::Serializer::new(&mut text), &options)
        .map_err(|error| failed(&error.to_string()))?;
    Ok(text)
}

/// The items, each in JSON, as one array.
pub fn array(items: impl Iterator<Item = Result<Vec<u8>, Error>>) -> Result<Vec<u8>, Error> {
    let items = items.collect::<Result<Vec<_>, _>>()?.join(&b","[..]);
    Ok([b"[", &items[..], b"]"].concat())
}

/// An empty body asks for nothing in particular.
pub fn parsed<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, Error> {
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(body).map_err(|error| no_request(&error))
}

/// INVALID_ARGUMENT for a body that is not the JSON it should be.
pub fn no_request(error: &serde_json::Error) -> Error {
    Error::invalid(format!("failed to parse the request JSON buffer: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use infermesh_wire::proto::inference::{DataType, ModelConfig, ModelInput};

    #[test]
    fn a_configuration_reads_as_in_its_file() {
        let input = ModelInput {
            name: "x".into(),
            data_type: DataType::TypeFp32 as i32,
            dims: vec![-1, 1 << 40],
            ..Default::default()
        };
        let config = ModelConfig { max_batch_size: 8, input: vec![input], ..Default::default() };
        let found: serde_json::Value =
            serde_json::from_slice(&of(&config, "ModelConfig", true).unwrap()).unwrap();
        assert_eq!(found["max_batch_size"], 8);
        assert_eq!(found["input"][0]["data_type"], "TYPE_FP32");
        assert_eq!(found["input"][0]["dims"], serde_json::json!([-1, 1u64 << 40]));
        assert_eq!(found["platform"], "");
        assert!(found.get("dynamic_batching").is_none());
    }
}
