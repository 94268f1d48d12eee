//! Who this process is to its peers, and whom it takes for one of them: SPIFFE identities of one trust
//! domain, in files that somebody renews.

use super::{
    HTTP1, HTTP2,
    certificate::Facts,
    counts::Handshakes,
    failure::{Failure, Why, tls_error},
    files::{Authorities, Contents, Files},
    handshake::{Secured, Welcome},
    rotation::Rotated,
    spiffe::{SpiffeId, check_trust_domain},
    verify::{Clients, Servers},
};
use crate::connections::Connections;
use infermesh_telemetry::Log;
use std::{error::Error as StdError, path::PathBuf, sync::Arc};
use tokio::io::{AsyncBufRead, AsyncWrite};
use tokio_rustls::{
    rustls::{ClientConfig, ServerConfig, crypto::ring, pki_types::UnixTime, sign::SingleCertAndKey},
    server::TlsStream,
};

/// Connections keep what they began with; new ones get what the files hold now.
#[derive(Debug)]
pub struct Identity {
    rotated: Arc<Rotated<Generation>>,
    /// Of peers that connect to this process.
    pub accepted: Handshakes,
    /// Of connections that this process makes.
    pub connected: Handshakes,
}

/// What was made of the files as they were at one time. Sessions are resumed within it alone: none outlives
/// the trust in an authority.
#[derive(Debug)]
pub struct Generation {
    pub id: Arc<SpiffeId>,
    /// Whose authorities these are.
    pub domain: Box<str>,
    pub facts: Facts,
    pub authorities: Arc<Authorities>,
    pub welcome: Welcome,
    /// Presents the certificate, and takes any server of the trust domain.
    pub client: ClientConfig,
    /// Seconds since 1970.
    pub loaded: u64,
}

/// For people who look at a process.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    pub id: Arc<SpiffeId>,
    pub trust_domain: String,
    pub certificate: Facts,
    /// Share of the certificate's life that is left: 1 when it is new, 0 when it is over.
    pub life_left: f64,
    /// When the files were last taken, in seconds since 1970.
    pub loaded: u64,
    /// Why that was not done with the files as they are now.
    pub reload_error: Option<String>,
    pub authorities: Vec<Facts>,
}

impl Description {
    /// When the first of the authorities is over, in seconds since 1970: the certificates below it are so,
    /// too.
    pub fn authorities_end(&self) -> Option<u64> {
        self.authorities.iter().map(|authority| authority.not_after).min()
    }
}

impl Identity {
    /// `trust_domain` is the one whose authorities these are; by default it is that of the certificate.
    /// Fails with what is wrong with which file, and what to do about it.
    pub fn load(
        certificate: PathBuf,
        key: PathBuf,
        authorities: PathBuf,
        trust_domain: Option<&str>,
    ) -> Result<Self, String> {
        if let Some(name) = trust_domain {
            check_trust_domain(name)
                .map_err(|wrong| format!("'{}' is no trust domain: {wrong}", name.escape_debug()))?;
        }
        let domain: Option<Box<str>> = trust_domain.map(Into::into);
        let files = Files { certificate, key, authorities: Some(authorities) };
        let rotated =
            Rotated::load(files, move |files, contents| Generation::new(files, contents, domain.as_deref()))?;
        Ok(Self {
            rotated: Arc::new(rotated),
            accepted: Handshakes::default(),
            connected: Handshakes::default(),
        })
    }

    pub fn current(&self) -> Arc<Generation> {
        self.rotated.current()
    }

    pub fn id(&self) -> Arc<SpiffeId> {
        self.current().id.clone()
    }

    /// Demands a certificate of the trust domain, and agrees on HTTP/2 or HTTP/1.1.
    pub fn server(&self) -> Arc<ServerConfig> {
        self.current().welcome.config.clone()
    }

    /// Does the handshake with a peer that has connected. `peer` is its address.
    pub async fn accept<T: AsyncBufRead + AsyncWrite + Unpin>(
        &self,
        io: T,
        peer: &str,
    ) -> Result<Secured<TlsStream<T>>, Failure> {
        let shaken = self.current().welcome.accept(io).await;
        self.accepted.count(&shaken);
        shaken.map_err(|why| Failure::new(peer, why))
    }

    /// What TLS says in an error of a connection that was open already. A server of TLS 1.3 refuses its
    /// client only after that has finished its handshake.
    pub fn explain(&self, peer: &str, error: &(dyn StdError + 'static)) -> Option<Failure> {
        let us = &self.current().welcome.us;
        tls_error(error).map(|error| Failure::new(peer, Why::of_tls(error, us)))
    }

    /// Takes the files anew now, if they have changed; tells of it if there is something to tell: of files
    /// that cannot be used when they are found a second time. Reads files, so it may block.
    pub fn refresh(&self) -> Option<Result<(), String>> {
        self.rotated.refresh()
    }

    /// Takes the files anew when they change, until the process drains.
    pub async fn follow(self: Arc<Self>, log: Arc<Log>, connections: Arc<Connections>) {
        self.rotated.clone().follow(log, connections).await;
    }

    pub fn describe(&self, now: UnixTime) -> Description {
        let current = self.current();
        Description {
            id: current.id.clone(),
            trust_domain: current.domain.to_string(),
            certificate: current.facts.clone(),
            life_left: current.facts.life_left(now.as_secs()),
            loaded: current.loaded,
            reload_error: self.rotated.wrong(),
            authorities: current.authorities.facts.clone(),
        }
    }
}

impl Generation {
    fn new(files: &Files, contents: &Contents, domain: Option<&str>) -> Result<Self, String> {
        let (certified, facts) = files.certified(contents)?;
        let path = files.certificate.display();
        let id =
            facts.id().map_err(|wrong| format!("the certificate in {path} is no workload's: {wrong}"))?;
        let id = id.ok_or_else(|| {
            format!(
                "the certificate in {path} has no SPIFFE id: {}; expected a URI like \
                 'spiffe://TRUST-DOMAIN/PATH'",
                facts.names()
            )
        })?;
        let authorities =
            files.authorities(contents)?.ok_or("an identity needs the file of its peers' authorities")?;
        let authorities = Arc::new(authorities);
        let domain: Box<str> = domain.unwrap_or(id.trust_domain()).into();
        let clients = Arc::new(Clients::new(authorities.clone(), Some(&domain))?);
        let certified = Arc::new(certified);
        let servers = Servers::new(authorities.clone(), &domain, Arc::default());
        let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(servers))
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified.clone())));
        let us = format!("{id} (issued by '{}')", facts.issuer);
        Ok(Self {
            id: Arc::new(id),
            domain,
            facts,
            authorities,
            welcome: Welcome::new(certified.clone(), Some(clients), &[HTTP2, HTTP1], us)?,
            client,
            loaded: UnixTime::now().as_secs(),
        })
    }
}
