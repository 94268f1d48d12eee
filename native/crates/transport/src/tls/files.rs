//! The files of TLS: read, and checked as a whole.

use super::certificate::{Facts, date};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio_rustls::rustls::{
    RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject},
    sign::CertifiedKey,
};

/// Where the certificate chain, its key and, to know peers by their certificates, their authorities lie. All
/// in PEM.
#[derive(Debug, Clone)]
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub authorities: Option<PathBuf>,
}

#[derive(PartialEq, Eq)]
pub struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    authorities: Option<Vec<u8>>,
}

/// Who is trusted to say who somebody is.
#[derive(Debug)]
pub struct Authorities {
    pub roots: Arc<RootCertStore>,
    pub facts: Vec<Facts>,
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
                .map(|path| read("certificates of authorities", path))
                .transpose()?,
        })
    }

    /// What proves who this process is, and what it says. Fails if that is over, or not its key's.
    pub fn certified(&self, contents: &Contents) -> Result<(CertifiedKey, Facts), String> {
        let chain = certificates(&self.certificate, &contents.certificate)?;
        let facts = checked(&self.certificate, &chain[0])?;
        let key = PrivateKeyDer::from_pem_slice(&contents.key).map_err(|_| {
            format!(
                "{} holds no private key in PEM; expected a block like '-----BEGIN PRIVATE KEY-----', not encrypted",
                self.key.display()
            )
        })?;
        let certified = CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|error| {
            format!(
                "the key in {} does not fit the certificate in {}: {error}; give the key that the certificate was \
                 issued for",
                self.key.display(),
                self.certificate.display()
            )
        })?;
        Ok((certified, facts))
    }

    /// `None` if nobody has to prove who he is. Fails if no authority is left.
    pub fn authorities(&self, contents: &Contents) -> Result<Option<Authorities>, String> {
        let (Some(path), Some(pem)) = (&self.authorities, &contents.authorities) else {
            return Ok(None);
        };
        let (mut roots, mut facts, mut unusable) = (RootCertStore::empty(), Vec::new(), None);
        for authority in certificates(path, pem)? {
            // A bundle may have some that are over.
            match checked(path, &authority) {
                Ok(said) => {
                    roots.add(authority).map_err(|error| {
                        format!("{} holds no usable certificate of an authority: {error}", path.display())
                    })?;
                    facts.push(said);
                }
                Err(why) => unusable = Some(why),
            }
        }
        match unusable {
            Some(why) if roots.is_empty() => Err(why),
            _ => Ok(Some(Authorities { roots: roots.into(), facts })),
        }
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

/// What it says, if that is true today.
fn checked(path: &Path, certificate: &CertificateDer<'_>) -> Result<Facts, String> {
    let facts = Facts::read(certificate).map_err(|wrong| format!("{}: {wrong}", path.display()))?;
    let now = UnixTime::now().as_secs();
    if now > facts.not_after {
        return Err(format!(
            "the certificate in {} expired on {}; renew it",
            path.display(),
            date(facts.not_after)
        ));
    }
    if now < facts.not_before {
        return Err(format!(
            "the certificate in {} is not valid before {}; check this machine's clock",
            path.display(),
            date(facts.not_before)
        ));
    }
    Ok(facts)
}
