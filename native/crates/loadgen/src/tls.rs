//! How a client knows its target, and is known to it.

use crate::proto;
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};
use std::sync::Arc;

/// The settings in rustls' terms, with the name that the target's certificate must have.
pub fn configure(
    settings: &proto::Tls,
    host: &str,
    protocol: &[u8],
) -> Result<(Arc<ClientConfig>, ServerName<'static>), String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = if settings.insecure {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)))
    } else {
        builder.with_root_certificates(roots(&settings.authorities)?)
    };
    let mut config = if settings.certificate.is_empty() {
        builder.with_no_client_auth()
    } else {
        let key = PrivateKeyDer::from_pem_slice(&settings.key)
            .map_err(|error| format!("the client's key is no private key in PEM: {error}"))?;
        builder
            .with_client_auth_cert(certificates("the client's certificate", &settings.certificate)?, key)
            .map_err(|error| format!("the client's certificate and key cannot be used: {error}"))?
    };
    config.alpn_protocols = vec![protocol.to_vec()];
    let name = if settings.server_name.is_empty() { host } else { &settings.server_name };
    let name = ServerName::try_from(name.to_owned())
        .map_err(|_| format!("{name:?} is no name that a certificate could have"))?;
    Ok((Arc::new(config), name))
}

fn roots(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let trusted = if pem.is_empty() {
        rustls_native_certs::load_native_certs().certs
    } else {
        certificates("the authorities", pem)?
    };
    roots.add_parsable_certificates(trusted);
    if roots.is_empty() {
        return Err("there is no authority to trust: give one".into());
    }
    Ok(roots)
}

fn certificates(what: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("{what} are not PEM: {error}"))?;
    if found.is_empty() { Err(format!("{what}: no certificate in PEM")) } else { Ok(found) }
}

/// Takes any certificate; the handshake's signature is still held against it.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
