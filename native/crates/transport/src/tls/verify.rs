//! Whether a peer is who it has to be: its chain of certificates, and its SPIFFE id.
//!
//! rustls gets the error that fits its alert; what an operator is told goes beside it (`handshake::Verdict`).

use super::{
    allowed::Allowed,
    certificate::Facts,
    failure::Why,
    files::Authorities,
    handshake::{self, Verdict},
    spiffe::SpiffeId,
};
use std::sync::Arc;
use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor, verify_server_name,
    },
    crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::{
        ParsedCertificate, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};

/// A peer that is refused: with which alert, and why.
type Refusal = (Error, Why);

/// Not the identity itself is at fault, but whether it may be here: the alert says "access denied".
fn denied(why: Why) -> Refusal {
    (CertificateError::ApplicationVerificationFailure.into(), why)
}

/// What a side of a handshake holds its peer against.
pub trait Judge {
    /// The peer's identity, if it has one and need not. `chain` begins with its own certificate.
    fn judge(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Option<Arc<SpiffeId>>, Refusal>;
}

/// Judges, and keeps what is found for who does the handshake.
fn decide(
    judge: &impl Judge,
    own: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
    now: UnixTime,
) -> Result<(), Error> {
    let (found, alert) = match judge.judge(own, others, now) {
        Ok(identity) => (Ok(identity), Ok(())),
        Err((alert, why)) => (Err(why), Err(alert)),
    };
    handshake::note(found);
    alert
}

/// What is known without TLS's help of a session that goes on from before: all of it is looked at again,
/// because time has passed.
pub fn again(judge: &impl Judge, chain: &[CertificateDer<'_>]) -> Verdict {
    match chain {
        [] => Ok(None),
        [own, others @ ..] => judge.judge(own, others, UnixTime::now()).map_err(|(_, why)| why),
    }
}

fn chain_of<'a>(
    own: &'a CertificateDer<'a>,
    others: &'a [CertificateDer<'a>],
) -> Vec<&'a CertificateDer<'a>> {
    [own].into_iter().chain(others).collect()
}

fn facts(own: &CertificateDer<'_>) -> Result<Facts, Refusal> {
    Facts::read(own).map_err(|wrong| (CertificateError::BadEncoding.into(), Why::unreadable(wrong)))
}

/// The clients of a listener: they have a certificate of one of the authorities.
#[derive(Debug)]
pub struct Clients {
    chain: Arc<dyn ClientCertVerifier>,
    authorities: Arc<Authorities>,
    /// Of these they have to have an identity; any or none will do where this is absent.
    domain: Option<Box<str>>,
}

impl Clients {
    /// Fails if there is no authority.
    pub fn new(authorities: Arc<Authorities>, domain: Option<&str>) -> Result<Self, String> {
        let provider = Arc::new(ring::default_provider());
        let chain = WebPkiClientVerifier::builder_with_provider(authorities.roots.clone(), provider)
            .build()
            .map_err(|error| format!("the authorities of clients cannot be used: {error}"))?;
        Ok(Self { chain, authorities, domain: domain.map(Into::into) })
    }
}

impl Judge for Clients {
    fn judge(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Option<Arc<SpiffeId>>, Refusal> {
        if let Err(error) = self.chain.verify_client_cert(own, others, now) {
            let why = Why::of_chain(&error, &chain_of(own, others), &self.authorities);
            return Err((error, why));
        }
        let Some(domain) = &self.domain else {
            return Ok(Facts::read(own).and_then(|facts| facts.id()).ok().flatten().map(Arc::new));
        };
        let facts = facts(own)?;
        let id = facts.id().map_err(|wrong| denied(Why::bad_identity(&wrong)))?;
        let id =
            id.ok_or_else(|| denied(Why::no_identity(&facts, &format!("one of 'spiffe://{domain}/'"))))?;
        if id.trust_domain() != &**domain {
            return Err(denied(Why::trust_domain(&id, domain)));
        }
        Ok(Some(Arc::new(id)))
    }
}

impl ClientCertVerifier for Clients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        decide(self, own, others, now).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// The servers that a cluster may have: of the trust domain, and among those allowed. Their addresses say
/// nothing of who they are, so no certificate is held against one.
#[derive(Debug)]
pub struct Servers {
    authorities: Arc<Authorities>,
    domain: Box<str>,
    allowed: Arc<Allowed>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Servers {
    pub fn new(authorities: Arc<Authorities>, domain: &str, allowed: Arc<Allowed>) -> Self {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        Self { authorities, domain: domain.into(), allowed, algorithms }
    }
}

impl Judge for Servers {
    fn judge(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Option<Arc<SpiffeId>>, Refusal> {
        let untrusted = |error: Error| {
            let why = Why::of_chain(&error, &chain_of(own, others), &self.authorities);
            (error, why)
        };
        let parsed = ParsedCertificate::try_from(own).map_err(untrusted)?;
        let roots = &self.authorities.roots;
        verify_server_cert_signed_by_trust_anchor(&parsed, roots, others, now, self.algorithms.all)
            .map_err(untrusted)?;
        let facts = facts(own)?;
        let id = facts.id().map_err(|wrong| denied(Why::bad_identity(&wrong)))?;
        let is_named = || {
            let mut names = self.allowed.names.iter().cloned().map(ServerName::DnsName);
            names.any(|name| verify_server_name(&parsed, &name).is_ok())
        };
        match id {
            Some(id) if id.trust_domain() != &*self.domain => {
                Err(denied(Why::trust_domain(&id, &self.domain)))
            }
            Some(id) if self.allowed.admits(&id) || is_named() => Ok(Some(Arc::new(id))),
            Some(id) => Err(denied(Why::not_allowed(&id, &self.allowed.expected(&self.domain)))),
            None if is_named() => Ok(None),
            None => Err(denied(Why::no_identity(&facts, &self.allowed.expected(&self.domain)))),
        }
    }
}

impl ServerCertVerifier for Servers {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        decide(self, own, others, now).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
