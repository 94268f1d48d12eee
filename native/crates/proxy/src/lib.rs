//! The proxy engine: one path for a request, in several roles (sidecar before an app, sidecar behind it, gateway).

pub mod capture;
pub mod enrich;

/// Generated from `protos/infermesh/proxy/v1`.
pub mod proto {
    #![allow(missing_docs, clippy::all)]
    include!(concat!(env!("OUT_DIR"), "/infermesh.proxy.v1.rs"));
}
