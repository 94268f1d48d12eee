//! The engine between real sockets: what passes, what comes back, what is tried again, what it costs.

#![allow(clippy::unwrap_used)]

#[path = "../support/h1.rs"]
mod h1;
#[path = "../support/h2_client.rs"]
mod h2_client;
#[path = "../support/h2_frames.rs"]
mod h2_frames;
#[path = "../support/h2_upstream.rs"]
mod h2_upstream;
#[path = "../support/running.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod running;

mod connections;
mod drain;
mod endpoints;
mod health;
mod hedges;
mod http1;
mod retries;
mod splits;
mod streams;
mod unary;
mod websockets;
mod wrong;
