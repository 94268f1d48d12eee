//! Limits between real sockets: who is let in, who waits and for how long, who is refused and what he is told.

#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "shared with other tests")]
#[path = "../support/h1.rs"]
mod h1;
#[allow(dead_code, reason = "shared with other tests")]
#[path = "../support/h2_client.rs"]
mod h2_client;
#[allow(dead_code, reason = "shared with other tests")]
#[path = "../support/h2_upstream.rs"]
mod h2_upstream;
#[allow(dead_code, reason = "shared with other tests")]
#[path = "../support/running.rs"]
mod running;
mod support;

mod adapting;
mod admission;
mod crowds;
mod places;
mod rates;
