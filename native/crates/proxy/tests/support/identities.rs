//! SPIFFE identities for proxies, in files that live as long as a test.

use infermesh_proxy::proto;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use std::{
    fs,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

/// An authority, and the folder of those who have a certificate from it.
pub struct Domain {
    authority: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Domain {
    pub fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = format!("infermesh-proxy-{}-{}", process::id(), NEXT.fetch_add(1, Relaxed));
        let folder = std::env::temp_dir().join(folder);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
        Self { authority, folder }
    }

    /// A workload's, as a configuration names it.
    pub fn identity(&self, id: &str) -> proto::Identity {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(id.try_into().unwrap())];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap().pem();
        let name = id.replace(['/', ':'], "-");
        proto::Identity {
            certificate_file: self.file(&format!("{name}.pem"), &certificate),
            key_file: self.file(&format!("{name}.key"), &key.serialize_pem()),
            authorities_file: text(&self.folder.join("ca.pem")),
            ..Default::default()
        }
    }

    fn file(&self, name: &str, contents: &str) -> String {
        let path = self.folder.join(name);
        fs::write(&path, contents).unwrap();
        text(&path)
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

impl Drop for Domain {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
