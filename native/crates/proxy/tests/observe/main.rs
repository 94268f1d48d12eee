//! What is told of requests: numbers, spans, records, live events; and the endpoint where people look.

// Helpers of tests may panic as tests do.
#![allow(clippy::unwrap_used)]

#[path = "../support/admin.rs"]
mod admin;
#[path = "../support/exposition.rs"]
mod exposition;
#[path = "../support/h2_client.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod h2_client;
#[path = "../support/h2_upstream.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod h2_upstream;
#[path = "../support/identities.rs"]
mod identities;
#[path = "../support/running.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod running;
#[path = "../support/spans.rs"]
mod spans;

mod counted;
mod identified;
mod logged;
mod operated;
mod split;
mod tapped;
mod traced;
