//! The files of TLS: read, checked as a whole, made into what rustls serves by.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio_rustls::rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject},
    server::{NoClientAuth, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
};
use x509_cert::{Certificate, der::Decode};

/// Where the certificate chain, its key and, to demand certificates of clients, their authorities lie. All in PEM.
#[derive(Debug, Clone)]
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub authorities: Option<PathBuf>,
    /// What is agreed on by ALPN: `h2` or `http/1.1`.
    pub protocol: &'static [u8],
}

#[derive(PartialEq, Eq)]
pub struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    authorities: Option<Vec<u8>>,
}

impl Files {
    pub fn read(&self) -> Result<Contents, String> {
        let read = |what: &str, path: &PathBuf| {
            fs::read(path).map_err(|error| {
                format!(
                    "cannot read the {what} {}: {error}; check the path and its permissions",
                    path.display()
                )
            })
        };
        Ok(Contents {
            certificate: read("certificate", &self.certificate)?,
            key: read("private key", &self.key)?,
            authorities: self
                .authorities
                .as_ref()
                .map(|path| read("certificates of client authorities", path))
                .transpose()?,
        })
    }

    pub fn configure(&self, contents: &Contents) -> Result<ServerConfig, String> {
        let provider = Arc::new(ring::default_provider());
        let chain = certificates(&self.certificate, &contents.certificate)?;
        check_validity(&self.certificate, &chain[0])?;
        let key = PrivateKeyDer::from_pem_slice(&contents.key).map_err(|_| {
            format!(
                "{} holds no private key in PEM; expected a block like '-----BEGIN PRIVATE KEY-----', not encrypted",
                self.key.display()
            )
        })?;
        let certified = CertifiedKey::from_der(chain, key, &provider).map_err(|error| {
            format!(
                "the key in {} does not fit the certificate in {}: {error}; give the key that the certificate was \
                 issued for",
                self.key.display(),
                self.certificate.display()
            )
        })?;
        let clients = self.clients(contents)?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_client_cert_verifier(clients)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        config.alpn_protocols = vec![self.protocol.to_vec()];
        Ok(config)
    }

    fn clients(&self, contents: &Contents) -> Result<Arc<dyn ClientCertVerifier>, String> {
        let (Some(path), Some(authorities)) = (&self.authorities, &contents.authorities) else {
            return Ok(Arc::new(NoClientAuth));
        };
        let wrong = |error: &dyn fmt::Display| {
            format!("{} holds no usable certificate of an authority: {error}", path.display())
        };
        let (mut roots, mut unusable) = (RootCertStore::empty(), None);
        for authority in certificates(path, authorities)? {
            // A bundle may have some that are over.
            match check_validity(path, &authority) {
                Ok(()) => roots.add(authority).map_err(|error| wrong(&error))?,
                Err(why) => unusable = Some(why),
            }
        }
        if let (true, Some(why)) = (roots.is_empty(), unusable) {
            return Err(why);
        }
        WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::new(ring::default_provider()))
            .build()
            .map_err(|error| wrong(&error))
    }
}

/// At least one.
fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("{} is not PEM: {error}", path.display()))?;
    if found.is_empty() {
        return Err(format!(
            "{} holds no certificate in PEM; expected a block like '-----BEGIN CERTIFICATE-----'",
            path.display()
        ));
    }
    Ok(found)
}

fn check_validity(path: &Path, certificate: &CertificateDer<'_>) -> Result<(), String> {
    let parsed = Certificate::from_der(certificate)
        .map_err(|error| format!("the certificate in {} cannot be read: {error}", path.display()))?;
    let validity = parsed.tbs_certificate.validity;
    let now = Duration::from_secs(UnixTime::now().as_secs());
    if now > validity.not_after.to_unix_duration() {
        return Err(format!(
            "the certificate in {} expired on {}; renew it",
            path.display(),
            validity.not_after
        ));
    }
    if now < validity.not_before.to_unix_duration() {
        return Err(format!(
            "the certificate in {} is not valid before {}; check this machine's clock",
            path.display(),
            validity.not_before
        ));
    }
    Ok(())
}
