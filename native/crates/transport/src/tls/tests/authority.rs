//! Authorities that live as long as a test, and certificates from them.

use crate::tls::Identity;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use std::{
    fs,
    path::PathBuf,
    process,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};
use tokio_rustls::rustls::pki_types::UnixTime;

/// rcgen takes the time of a crate that it does not give away.
macro_rules! at {
    ($seconds:expr) => {
        date_time_ymd(1970, 1, 1)
            + Duration::from_secs(UnixTime::now().as_secs().checked_add_signed($seconds).unwrap())
    };
}

pub const HOUR: i64 = 3_600;

pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

/// What a certificate is to say.
pub struct Workload<'a> {
    pub uris: &'a [&'a str],
    pub dns: &'a [&'a str],
    /// Seconds from now.
    pub begins: i64,
    pub ends: i64,
    pub usages: &'a [ExtendedKeyUsagePurpose],
    pub is_authority: bool,
}

impl Default for Workload<'_> {
    fn default() -> Self {
        let usages = &[ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        Self { uris: &[], dns: &[], begins: -HOUR, ends: 24 * HOUR, usages, is_authority: false }
    }
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(Self::params(name), key).unwrap())
    }

    /// One whose own certificate is from this one.
    pub fn below(&self, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::signed_by(Self::params(name), key, &self.0).unwrap())
    }

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        (params.not_before, params.not_after) = (at!(-HOUR), at!(240 * HOUR));
        params
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// As a workload of that identity should have it.
    pub fn issue(&self, id: &str) -> Pair {
        self.certify(&Workload { uris: &[id], ..Workload::default() })
    }

    pub fn certify(&self, workload: &Workload<'_>) -> Pair {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        (params.not_before, params.not_after) = (at!(workload.begins), at!(workload.ends));
        params
            .subject_alt_names
            .extend(workload.uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())));
        params
            .subject_alt_names
            .extend(workload.dns.iter().map(|name| SanType::DnsName((*name).try_into().unwrap())));
        params.extended_key_usages = workload.usages.to_vec();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.is_ca = IsCa::ExplicitNoCa;
        if workload.is_authority {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages.push(KeyUsagePurpose::KeyCertSign);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

/// A folder with the files of an identity, which goes with this.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("infermesh-tls-{}-{}", process::id(), COUNT.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, pair: &Pair, authorities: &str) {
        fs::write(self.path("tls.crt"), &pair.certificate).unwrap();
        fs::write(self.path("tls.key"), &pair.key).unwrap();
        fs::write(self.path("ca.crt"), authorities).unwrap();
    }

    pub fn identity(&self, domain: Option<&str>) -> Result<Identity, String> {
        Identity::load(self.path("tls.crt"), self.path("tls.key"), self.path("ca.crt"), domain)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
