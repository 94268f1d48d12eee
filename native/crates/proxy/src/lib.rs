//! The proxy engine: one path for a request, in several roles (sidecar before an app, sidecar behind it, gateway).
//!
//! One way through, and a module imports only from those below it in this list:
//!
//! - `proxy` is the whole as its owner sees it; `connection` is what is spoken on one that `transport` accepts;
//! - `admin` shows what there is to whoever operates it;
//! - `edge` turns what comes in into a request, and writes the `answer`;
//! - `call` takes a request from its head to the head of its answer: who asks, for what, until when;
//! - `transcode` answers REST and plain JSON with the help of a gRPC server;
//! - `infer` gives equal inferences one answer and small ones one call;
//! - `request` sends it on, again if that may help;
//! - `watch` follows it to its end, `origin` is what is known of it from its beginning;
//! - `plan` is what was configured, checked;
//! - `limit` decides who is let in, and who waits for it;
//! - `upstream` holds those who do the work, and the connections to them;
//! - `observe` is what is told of requests;
//! - `body` and `headers` are what passes, and `capture` is what is kept of it.

mod admin;
mod answer;
mod body;
mod call;
mod connection;
mod edge;
mod headers;
mod hooks;
mod infer;
mod limit;
mod observe;
mod origin;
mod plan;
mod proxy;
mod request;
mod shared;
mod transcode;
mod upstream;
mod watch;

pub use hooks::Hook;
pub use proxy::Proxy;

pub mod capture;
pub mod enrich;

/// Generated from `protos/infermesh/proxy/v1`.
pub mod proto {
    #![allow(missing_docs, clippy::all)]
    include!(concat!(env!("OUT_DIR"), "/infermesh.proxy.v1.rs"));
}
