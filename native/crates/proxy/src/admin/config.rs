//! The configuration as JSON: field names as in the .proto file, what was not given left out.

use crate::proto;
use infermesh_wire::Error;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::Value;

const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// In place of what is nobody's business.
const HIDDEN: &str = "(hidden)";

/// Names of headers whose values may be secrets.
const SECRET: [&str; 7] = ["auth", "cookie", "token", "secret", "password", "key", "session"];

/// Keys and certificates are not part of it, only where they are; values of headers that may be secrets are hidden.
pub fn of(config: &proto::ProxyConfig) -> Result<Value, Error> {
    let mut config = config.clone();
    for listener in &mut config.listeners {
        for route in &mut listener.routes {
            let enrichments =
                route.enrichments.iter_mut().filter_map(|enrichment| enrichment.r#match.as_mut());
            route.r#match.iter_mut().chain(enrichments).for_each(hide);
        }
    }
    let failed = |why: String| Error::internal(format!("the configuration has no JSON form: {why}"));
    let pool = DescriptorPool::decode(DESCRIPTORS).map_err(|error| failed(error.to_string()))?;
    let descriptor = pool
        .get_message_by_name("infermesh.proxy.v1.ProxyConfig")
        .ok_or_else(|| failed("there is no such message".to_owned()))?;
    let message = DynamicMessage::decode(descriptor, &config.encode_to_vec()[..])
        .map_err(|error| failed(error.to_string()))?;
    let options = SerializeOptions::new().use_proto_field_name(true).stringify_64_bit_integers(false);
    message
        .serialize_with_options(serde_json::value::Serializer, &options)
        .map_err(|error| failed(error.to_string()))
}

fn hide(matching: &mut proto::Match) {
    for (name, value) in &mut matching.headers {
        let name = name.to_ascii_lowercase();
        if SECRET.iter().any(|word| name.contains(word)) {
            HIDDEN.clone_into(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_reads_as_in_its_file_without_its_secrets() {
        let headers = [("X-Api-Key", "s3cret"), ("x-kind", "shop-*")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let matching = proto::Match { headers, ..Default::default() };
        let enrichment = proto::Enrichment { r#match: Some(matching.clone()), ..Default::default() };
        let route = proto::Route {
            r#match: Some(matching),
            enrichments: vec![enrichment],
            timeout_ns: 1 << 60,
            ..Default::default()
        };
        let listener = proto::Listener {
            direction: proto::Direction::Inbound as i32,
            routes: vec![route],
            ..Default::default()
        };
        let config = proto::ProxyConfig { listeners: vec![listener], ..Default::default() };
        let found = of(&config).unwrap();
        assert!(!found.to_string().contains("s3cret"), "{found}");
        let listener = &found["listeners"][0];
        assert_eq!(listener["direction"], "DIRECTION_INBOUND");
        assert_eq!(listener["routes"][0]["match"]["headers"]["x-kind"], "shop-*");
        assert_eq!(listener["routes"][0]["match"]["headers"]["X-Api-Key"], "(hidden)");
        assert_eq!(listener["routes"][0]["timeout_ns"], 1u64 << 60);
    }
}
