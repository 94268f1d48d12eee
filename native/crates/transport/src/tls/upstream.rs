//! TLS towards the servers of one cluster.

use super::{
    allowed::Allowed,
    failure::{Failure, Why},
    handshake::{Secured, shake},
    identity::{Generation, Identity},
    verify::Servers,
};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, timeout_at},
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{ClientConfig, client::Resumption, pki_types::ServerName},
};

/// Sessions that are kept to be resumed, eight for each server (`ClientSessionMemoryCache`).
const SESSIONS: usize = 256;

/// What a server is asked for by: a name, or an address, in brackets or not.
pub fn server_name(host: &str) -> Result<ServerName<'static>, String> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    ServerName::try_from(bare.to_owned())
        .map_err(|_| format!("'{}' is neither a name of DNS nor an address", host.escape_debug()))
}

/// Connects as an identity, to those servers alone that the cluster may have.
#[derive(Debug)]
pub struct Upstream {
    identity: Arc<Identity>,
    allowed: Arc<Allowed>,
    current: RwLock<Arc<Towards>>,
}

/// What one generation of the identity's files is to these servers.
#[derive(Debug)]
struct Towards {
    generation: Arc<Generation>,
    servers: Arc<Servers>,
    /// With its own store of sessions.
    config: Arc<ClientConfig>,
}

impl Upstream {
    pub fn new(identity: Arc<Identity>, allowed: Allowed) -> Self {
        let allowed = Arc::new(allowed);
        let current = RwLock::new(Towards::new(identity.current(), &allowed));
        Self { identity, allowed, current }
    }

    /// Does the handshake over a connection to a server. `name` is asked for in it, but proves nothing;
    /// `protocols` are offered by ALPN, the dearest first; `peer` is the address, for people.
    pub async fn connect<T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        io: T,
        name: ServerName<'static>,
        protocols: &[&[u8]],
        peer: &str,
        deadline: Instant,
    ) -> Result<Secured<TlsStream<T>>, Failure> {
        let limit = deadline.saturating_duration_since(Instant::now());
        let towards = self.current();
        let connector = TlsConnector::from(towards.config.clone());
        let offered = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let handshake = connector.with_alpn(offered).connect(name, io);
        let us = &towards.generation.welcome.us;
        let shaken = shake(handshake, |stream| stream.get_ref().1, Some(&*towards.servers), us);
        let shaken = timeout_at(deadline, shaken).await;
        let shaken = shaken.unwrap_or_else(|_| Err(Why::timed_out("the handshake", limit)));
        if shaken.is_err() {
            // It may be a session from before that does not go on: the next attempt begins anew.
            self.forget(&towards);
        }
        self.identity.connected.count(&shaken);
        shaken.map_err(|why| Failure::new(peer, why))
    }

    /// For who does the handshake himself.
    pub fn config(&self) -> Arc<ClientConfig> {
        self.current().config.clone()
    }

    fn current(&self) -> Arc<Towards> {
        let generation = self.identity.current();
        let known = self.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        if Arc::ptr_eq(&known.generation, &generation) {
            return known;
        }
        let new = Towards::new(generation, &self.allowed);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new.clone();
        new
    }

    fn forget(&self, towards: &Arc<Towards>) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&current, towards) {
            *current = Towards::new(towards.generation.clone(), &self.allowed);
        }
    }
}

impl Towards {
    fn new(generation: Arc<Generation>, allowed: &Arc<Allowed>) -> Arc<Self> {
        let authorities = generation.authorities.clone();
        let servers = Arc::new(Servers::new(authorities, &generation.domain, allowed.clone()));
        let mut config = generation.client.clone();
        config.dangerous().set_certificate_verifier(servers.clone());
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        Arc::new(Self { generation, servers, config: Arc::new(config) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_asked_for_by_name_or_address() {
        for host in ["models.default.svc", "my_models", "10.0.0.8", "::1", "[::1]"] {
            server_name(host).unwrap();
        }
        for host in ["", "models:8443", "a b", "unix:/run/a.sock"] {
            let said = server_name(host).unwrap_err();
            assert!(said.contains(&format!("'{host}' is neither")), "{said}");
        }
    }
}
