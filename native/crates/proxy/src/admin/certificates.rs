//! Who this proxy is to its peers.

use crate::shared::Shared;
use serde_json::{Value, json};

/// `identity` is null for a proxy that speaks plaintext.
pub fn of(_: &Shared) -> Value {
    json!({ "identity": Value::Null })
}
