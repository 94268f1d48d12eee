//! What a certificate says of itself.

use super::spiffe::SpiffeId;
use std::net::IpAddr;
use x509_cert::{
    Certificate,
    der::{DateTime, Decode},
    ext::pkix::{BasicConstraints, KeyUsage, SubjectAltName, name::GeneralName},
    name::Name,
    time::Time,
};

/// Of a peer's names so many are told, each up to so many bytes: they may be of any length.
const MAX_TOLD: usize = 8;
const MAX_LENGTH: usize = 256;

/// Seconds are those since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub subject: String,
    pub issuer: String,
    /// In hexadecimal.
    pub serial: String,
    pub not_before: u64,
    pub not_after: u64,
    uris: Vec<String>,
    /// Names that are no URIs.
    names: Vec<String>,
    /// Whether it may sign certificates or revocations.
    signs: bool,
}

impl Facts {
    /// Fails if it is no certificate.
    pub fn read(der: &[u8]) -> Result<Self, String> {
        let read = || {
            let certificate = Certificate::from_der(der)?.tbs_certificate;
            let constraints = certificate.get::<BasicConstraints>()?;
            let usage = certificate.get::<KeyUsage>()?;
            let alternatives = certificate.get::<SubjectAltName>()?.map(|(_, names)| names.0);
            let (mut uris, mut names) = (Vec::new(), Vec::new());
            for name in alternatives.into_iter().flatten() {
                match name {
                    GeneralName::UniformResourceIdentifier(uri) => uris.push(uri.as_str().to_owned()),
                    other => names.push(told(&other)),
                }
            }
            Ok(Self {
                subject: named(&certificate.subject),
                issuer: named(&certificate.issuer),
                serial: certificate
                    .serial_number
                    .as_bytes()
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect(),
                not_before: seconds(certificate.validity.not_before),
                not_after: seconds(certificate.validity.not_after),
                uris,
                names,
                signs: constraints.is_some_and(|(_, constraints)| constraints.ca)
                    || usage.is_some_and(|(_, usage)| usage.key_cert_sign() || usage.crl_sign()),
            })
        };
        read().map_err(|error: x509_cert::der::Error| format!("the certificate cannot be read: {error}"))
    }

    /// The SPIFFE id of a workload's certificate; `None` if it has no URI among its names. Fails if it has,
    /// and may yet not stand for a workload. After X509-SVID, section 5.2.
    pub fn id(&self) -> Result<Option<SpiffeId>, String> {
        let id = match &self.uris[..] {
            [] => return Ok(None),
            [only] => only.parse()?,
            several => {
                let found = several.len();
                return Err(format!(
                    "it has {found} URIs, where a workload has one: {}",
                    listed(several.iter().map(String::as_str))
                ));
            }
        };
        if self.signs {
            return Err(format!("'{id}' may sign certificates: it is an authority and no workload"));
        }
        Ok(Some(id))
    }

    /// All that it is called, for people.
    pub fn names(&self) -> String {
        let uris: Vec<_> = self.uris.iter().map(|uri| format!("URI:{uri}")).collect();
        let names = uris.iter().chain(&self.names).map(String::as_str);
        match (self.uris.is_empty() && self.names.is_empty(), &*self.subject) {
            (true, UNNAMED) => "it has no names".into(),
            (true, subject) => format!("its only name is the subject '{subject}'"),
            (false, _) => format!("its names are {}", listed(names)),
        }
    }

    /// Whether it belongs to an authority, which may not speak for a workload.
    pub fn signs(&self) -> bool {
        self.signs
    }

    /// Whom it stands for, in a word.
    pub fn who(&self) -> String {
        let first = self.uris.first().or(self.names.first()).unwrap_or(&self.subject);
        listed([first.as_str()].into_iter())
    }

    /// What is left of the time it was issued for: 1 when it is new, 0 when it is over.
    pub fn life_left(&self, now: u64) -> f64 {
        let whole = self.not_after.saturating_sub(self.not_before).max(1);
        (self.not_after.saturating_sub(now) as f64 / whole as f64).min(1.0)
    }
}

const UNNAMED: &str = "(unnamed)";

fn named(name: &Name) -> String {
    match name.to_string() {
        name if name.is_empty() => UNNAMED.into(),
        name => listed([name.as_str()].into_iter()),
    }
}

fn told(name: &GeneralName) -> String {
    match name {
        GeneralName::DnsName(name) => format!("DNS:{name}"),
        GeneralName::Rfc822Name(name) => format!("email:{name}"),
        GeneralName::IpAddress(bytes) => match address(bytes.as_bytes()) {
            Some(address) => format!("IP:{address}"),
            None => format!("an IP address of {} bytes", bytes.as_bytes().len()),
        },
        _ => "a name of another kind".into(),
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

/// In one line and of bounded length, whatever a peer has put there.
pub fn listed<'a>(mut names: impl Iterator<Item = &'a str>) -> String {
    let mut told: Vec<_> =
        names.by_ref().take(MAX_TOLD).map(|name| cut(name.escape_debug().to_string(), MAX_LENGTH)).collect();
    let beyond = names.count();
    if beyond > 0 {
        told.push(format!("and {beyond} more"));
    }
    told.join(", ")
}

/// No longer than so many bytes, and the dots that stand for the rest.
pub fn cut(mut text: String, length: usize) -> String {
    if text.len() > length {
        let end = (0..=length).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or_default());
        text.push_str("...");
    }
    text
}

fn seconds(time: Time) -> u64 {
    time.to_unix_duration().as_secs()
}

/// `2030-01-31T12:00:00Z`.
pub fn date(seconds: u64) -> String {
    match DateTime::from_unix_duration(std::time::Duration::from_secs(seconds)) {
        Ok(date) => date.to_string(),
        // Beyond the year 9999.
        Err(_) => format!("{seconds} s after 1970"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            subject: UNNAMED.into(),
            issuer: "CN=mesh".into(),
            serial: "01".into(),
            not_before: 1_000,
            not_after: 2_000,
            uris: Vec::new(),
            names: Vec::new(),
            signs: false,
        }
    }

    #[test]
    fn what_is_left_of_a_life_is_a_share_of_it() {
        let shares = [0, 1_000, 1_250, 1_999, 2_000, 9_000].map(|now| facts().life_left(now));
        assert_eq!(shares, [1.0, 1.0, 0.75, 0.001, 0.0, 0.0]);
        assert_eq!(Facts { not_after: 500, ..facts() }.life_left(2_000), 0.0);
    }

    #[test]
    fn whatever_a_peer_calls_itself_fits_a_line() {
        assert_eq!(facts().names(), "it has no names");
        let named = Facts { subject: "CN=app".into(), ..facts() };
        assert_eq!(named.names(), "its only name is the subject 'CN=app'");
        let names = (0..1_000).map(|number| format!("DNS:{number}\n{}", "\u{1}".repeat(9_000))).collect();
        let said = Facts { names, ..facts() }.names();
        assert!(said.ends_with("and 992 more") && said.len() < 3_000, "{}", said.len());
        assert!(!said.contains(char::is_control));
        assert_eq!(cut("aä".into(), 3), "aä");
        assert_eq!(cut("aää".into(), 4), "aä...");
    }

    #[test]
    fn dates_are_for_people() {
        assert_eq!(date(0), "1970-01-01T00:00:00Z");
        assert_eq!(date(1_900_000_000), "2030-03-17T17:46:40Z");
        assert_eq!(date(u64::MAX), format!("{} s after 1970", u64::MAX));
    }
}
