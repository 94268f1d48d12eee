//! TLS: what a listener presents and demands, who a process is to its peers and whom it takes for one of
//! them. All of it from files, taken anew when the files change.
//!
//! `Tls` is what the flags of a server say; `Identity` is a SPIFFE identity, for both sides of a connection:
//! `Terms` are those of a listener, `Upstream` connects. Both read `files`, follow them (`rotation`) and do a
//! `handshake`, in which `verify` decides; a `failure` says who was refused, and why.

mod allowed;
mod certificate;
mod counts;
mod failure;
mod files;
mod handshake;
mod identity;
mod rotation;
pub mod spiffe;
mod terms;
#[cfg(test)]
mod tests;
mod upstream;
mod verify;

pub use allowed::Allowed;
pub use certificate::{Facts, date};
pub use counts::{Counts, Handshakes};
pub use failure::{Failure, Reason};
pub use files::Files;
pub use handshake::Secured;
pub use identity::{Description, Identity};
pub use terms::{Greeted, Terms};
pub use upstream::{Upstream, server_name};

use crate::connections::Connections;
use handshake::Welcome;
use infermesh_telemetry::Log;
use rotation::Rotated;
use std::sync::Arc;
use tokio::io::{AsyncBufRead, AsyncWrite};
use tokio_rustls::server::TlsStream;
use verify::Clients;

/// What is agreed on by ALPN.
pub const HTTP2: &[u8] = b"h2";
pub const HTTP1: &[u8] = b"http/1.1";

/// What the listeners of one edge present and demand. Connections keep what they began with.
pub struct Tls {
    rotated: Arc<Rotated<Welcome>>,
}

impl Tls {
    /// `protocol` is agreed on by ALPN. Fails with what is wrong with which file, and what to do about it.
    pub fn load(files: Files, protocol: &'static [u8]) -> Result<Self, String> {
        let rotated = Rotated::load(files, move |files, contents| {
            let (certified, facts) = files.certified(contents)?;
            let clients = files
                .authorities(contents)?
                .map(|authorities| Clients::new(Arc::new(authorities), None))
                .transpose()?;
            let us = format!("the certificate of this side ({})", facts.who());
            Welcome::new(Arc::new(certified), clients.map(Arc::new), &[protocol], us)
        })?;
        Ok(Self { rotated: Arc::new(rotated) })
    }

    /// The encrypted connection, or why there is none. A client that is refused is told so by an alert.
    pub async fn accept<T: AsyncBufRead + AsyncWrite + Unpin>(
        &self,
        io: T,
        peer: &str,
    ) -> Result<Secured<TlsStream<T>>, Failure> {
        self.rotated.current().accept(io).await.map_err(|why| Failure::new(peer, why))
    }

    /// Takes the files anew when they change, until the process drains.
    pub async fn follow(self: Arc<Self>, log: Arc<Log>, connections: Arc<Connections>) {
        self.rotated.clone().follow(log, connections).await;
    }
}
