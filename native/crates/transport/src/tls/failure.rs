//! Why there is no TLS with a peer: for the log, for metrics, and for who waits for an answer.

use super::{
    certificate::{Facts, cut, date, listed},
    files::Authorities,
    spiffe::SpiffeId,
};
use std::{error::Error as StdError, fmt, io, time::Duration};
use tokio_rustls::rustls::{
    AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible, pki_types::CertificateDer,
};

/// Of what a peer says in plaintext, so many bytes are quoted.
const MAX_QUOTED: usize = 32;

/// It goes into a header of an answer, beside others.
const MAX_SAID: usize = 1_024;

/// For metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A certificate is over.
    Expired,
    /// A certificate is not valid yet: a clock is wrong.
    NotYetValid,
    /// A certificate is from somebody who is not trusted.
    UnknownAuthority,
    /// An identity of another trust domain.
    TrustDomain,
    /// An identity that this connection is not for.
    NotAllowed,
    /// A certificate without a SPIFFE id.
    NoIdentity,
    /// No certificate at all.
    NoCertificate,
    /// A certificate that is wrong in another way.
    BadCertificate,
    /// The peer does not begin with TLS.
    Plaintext,
    /// No version, cipher or application protocol in common.
    Incompatible,
    /// The peer says that it does not want us.
    Refused,
    /// The peer is gone before the end of the handshake.
    Closed,
    /// The peer is gone before its beginning, as one that only looks whether somebody listens.
    Left,
    /// It took too long.
    TimedOut,
    /// Anything else.
    Other,
}

impl Reason {
    pub const ALL: [Self; 15] = [
        Self::Expired,
        Self::NotYetValid,
        Self::UnknownAuthority,
        Self::TrustDomain,
        Self::NotAllowed,
        Self::NoIdentity,
        Self::NoCertificate,
        Self::BadCertificate,
        Self::Plaintext,
        Self::Incompatible,
        Self::Refused,
        Self::Closed,
        Self::Left,
        Self::TimedOut,
        Self::Other,
    ];

    /// As the value of a label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::UnknownAuthority => "unknown_authority",
            Self::TrustDomain => "trust_domain",
            Self::NotAllowed => "not_allowed",
            Self::NoIdentity => "no_identity",
            Self::NoCertificate => "no_certificate",
            Self::BadCertificate => "bad_certificate",
            Self::Plaintext => "plaintext",
            Self::Incompatible => "incompatible",
            Self::Refused => "refused",
            Self::Closed => "closed",
            Self::Left => "left",
            Self::TimedOut => "timed_out",
            Self::Other => "other",
        }
    }
}

/// Who, what and why, in one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    peer: String,
    why: Why,
}

impl Failure {
    pub fn new(peer: &str, why: Why) -> Self {
        Self { peer: peer.into(), why }
    }

    /// Whether nobody has to hear of it.
    pub fn is_quiet(&self) -> bool {
        self.why.reason == Reason::Left
    }

    pub fn reason(&self) -> Reason {
        self.why.reason
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "TLS with {} failed: {}", self.peer, self.why.said)
    }
}

impl StdError for Failure {}

/// What is known of it where the peer's address is not: `it` is the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    pub reason: Reason,
    said: String,
}

impl Why {
    fn new(reason: Reason, said: impl Into<String>) -> Self {
        Self { reason, said: cut(said.into(), MAX_SAID) }
    }

    /// What became of a handshake. `us` is who this process is to the peer.
    pub fn of_io(error: &io::Error, us: &str) -> Self {
        match tls_error(error) {
            Some(error) => Self::of_tls(error, us),
            None => match error.kind() {
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe => Self::new(
                    Reason::Closed,
                    format!(
                        "it closed the connection during the handshake: it may want no TLS, or refuse {us} without \
                         a word"
                    ),
                ),
                _ => Self::new(Reason::Other, error.to_string()),
            },
        }
    }

    pub fn of_tls(error: &Error, us: &str) -> Self {
        match error {
            Error::NoCertificatesPresented => {
                Self::new(Reason::NoCertificate, "it presents no certificate, and has to prove who it is")
            }
            Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
                Self::new(Reason::Plaintext, "it does not answer in TLS: it speaks plaintext")
            }
            Error::NoApplicationProtocol => {
                Self::new(Reason::Incompatible, "it offers no application protocol that is spoken here")
            }
            Error::PeerIncompatible(what) => Self::incompatible(what),
            Error::AlertReceived(alert) => Self::refused(*alert, us),
            Error::InvalidCertificate(wrong) => {
                Self::new(Reason::BadCertificate, format!("its certificate is not accepted: {wrong}"))
            }
            other => Self::new(Reason::Other, other.to_string()),
        }
    }

    fn incompatible(what: &PeerIncompatible) -> Self {
        let said = match what {
            // No client of TLS 1.2 leaves this out, and none before it has it.
            PeerIncompatible::SignatureAlgorithmsExtensionRequired
            | PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::Tls13RequiredForQuic
            | PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig => {
                "it speaks neither TLS 1.2 nor 1.3, the versions spoken here".into()
            }
            other => format!("it has no cipher or key exchange in common with this side: {other:?}"),
        };
        Self::new(Reason::Incompatible, said)
    }

    fn refused(alert: AlertDescription, us: &str) -> Self {
        let (reason, said) = match alert {
            AlertDescription::UnknownCA => {
                (Reason::Refused, format!("it does not trust the authority of {us}"))
            }
            AlertDescription::CertificateExpired => {
                (Reason::Refused, format!("it takes {us} for expired; check the clocks of both machines"))
            }
            AlertDescription::AccessDenied => (Reason::Refused, format!("it does not allow {us}")),
            AlertDescription::CertificateRequired => {
                (Reason::Refused, format!("it demands a certificate beyond what it got of {us}"))
            }
            AlertDescription::ProtocolVersion => {
                (Reason::Incompatible, "it speaks neither TLS 1.2 nor 1.3, the versions spoken here".into())
            }
            AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
                (Reason::Incompatible, "it finds no cipher in common with this side".into())
            }
            AlertDescription::NoApplicationProtocol => {
                (Reason::Incompatible, "it speaks no application protocol that is offered here".into())
            }
            AlertDescription::UnrecognisedName => {
                (Reason::Refused, "it has no certificate for the server name that was asked for".into())
            }
            other => (Reason::Refused, format!("it does not accept {us}: it says {other:?}")),
        };
        Self::new(reason, said)
    }

    /// Why a chain of certificates, the peer's own first, leads to none of the authorities.
    pub fn of_chain(error: &Error, chain: &[&CertificateDer<'_>], trusted: &Authorities) -> Self {
        let Error::InvalidCertificate(error) = error else { return Self::of_tls(error, "this side") };
        let chain: Vec<_> = chain.iter().filter_map(|one| Facts::read(one).ok()).collect();
        let Some(own) = chain.first() else {
            return Self::new(Reason::BadCertificate, format!("its certificate is not accepted: {error}"));
        };
        let certificate = format!("its certificate ({})", own.who());
        match error {
            CertificateError::ExpiredContext { time, not_after } => {
                let (now, at) = (time.as_secs(), not_after.as_secs());
                let whose = if at == own.not_after { "" } else { "the authority of " };
                let ago = span(now.saturating_sub(at));
                let said = format!("{whose}{certificate} expired on {}, {ago} ago", date(at));
                Self::new(Reason::Expired, said)
            }
            CertificateError::NotValidYetContext { time, not_before } => {
                let (now, at) = (time.as_secs(), not_before.as_secs());
                let whose = if at == own.not_before { "" } else { "the authority of " };
                let left = span(at.saturating_sub(now));
                let said = format!(
                    "{whose}{certificate} is not valid before {}, in {left}; check the clocks of both \
                     machines",
                    date(at)
                );
                Self::new(Reason::NotYetValid, said)
            }
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                let issuer = root(&chain);
                let known = listed(trusted.facts.iter().map(|authority| &*authority.subject));
                let said = match error {
                    CertificateError::UnknownIssuer => {
                        format!("was issued by '{issuer}', which is not trusted")
                    }
                    _ => {
                        format!("was issued by a '{issuer}' whose key is not that of the one that is trusted")
                    }
                };
                Self::new(Reason::UnknownAuthority, format!("{certificate} {said}; trusted here: '{known}'"))
            }
            _ if own.signs() => Self::new(
                Reason::BadCertificate,
                format!("{certificate} is an authority's, which may not speak for a workload"),
            ),
            other => Self::new(Reason::BadCertificate, format!("{certificate} is not accepted: {other}")),
        }
    }

    pub fn unreadable(wrong: String) -> Self {
        Self::new(Reason::BadCertificate, wrong)
    }

    pub fn no_identity(facts: &Facts, expected: &str) -> Self {
        let names = facts.names();
        Self::new(
            Reason::NoIdentity,
            format!("its certificate has no SPIFFE id: {names}; expected {expected}"),
        )
    }

    pub fn bad_identity(wrong: &str) -> Self {
        Self::new(Reason::NoIdentity, format!("its certificate has no SPIFFE id of a workload: {wrong}"))
    }

    pub fn trust_domain(id: &SpiffeId, expected: &str) -> Self {
        let said = format!("it is {id}, which is not of the trust domain '{expected}'");
        Self::new(Reason::TrustDomain, said)
    }

    pub fn not_allowed(id: &SpiffeId, expected: &str) -> Self {
        Self::new(Reason::NotAllowed, format!("it is {id}, which is not allowed here: expected {expected}"))
    }

    /// `first` are the bytes that it began with.
    pub fn plaintext(first: &[u8]) -> Self {
        let line = first.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(first.len());
        let shown = first[..line.min(MAX_QUOTED)].escape_ascii();
        let what = if is_http(first) { "HTTP without TLS" } else { "no TLS" };
        Self::new(Reason::Plaintext, format!("it speaks {what}: it begins with '{shown}'"))
    }

    pub fn left() -> Self {
        Self::new(Reason::Left, "it closed the connection before it said a word")
    }

    pub fn timed_out(what: &str, limit: Duration) -> Self {
        Self::new(Reason::TimedOut, format!("{what} took longer than {:.1} s", limit.as_secs_f64()))
    }
}

/// The error of TLS within one of the connection, or within one of what was spoken over it.
pub fn tls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<Error>() {
            return Some(found);
        }
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(within) => Some(within),
            None => match error.downcast_ref::<h2::Error>().and_then(h2::Error::get_io) {
                Some(within) => Some(within),
                None => error.source(),
            },
        };
    }
    None
}

/// Who is at the end of a chain that begins with the peer's own certificate.
fn root(chain: &[Facts]) -> &str {
    let mut issuer = &chain[0].issuer;
    // No further than there are certificates: they may go round in circles.
    for _ in chain {
        match chain[1..].iter().find(|above| above.subject == *issuer) {
            Some(above) => issuer = &above.issuer,
            None => break,
        }
    }
    issuer
}

/// Any request line, or the preface of HTTP/2.
fn is_http(first: &[u8]) -> bool {
    let method = first.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    (3..=8).contains(&method) && first.get(method) == Some(&b' ')
}

/// For people: `3 h`.
fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}
