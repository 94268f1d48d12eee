//! Where an endpoint is.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

/// An address as people write it: HOST:PORT, [IPV6]:PORT or unix:PATH.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("'{text}' is no address: {why}; expected HOST:PORT or unix:PATH");
        if let Some(path) = text.strip_prefix("unix:") {
            return match path.is_empty() {
                true => Err(wrong("it names no path")),
                false => Ok(Self::Unix(path.into())),
            };
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(|| wrong("it has no port"))?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        if bare.is_none() && host.contains(':') {
            return Err(wrong("an IPv6 address stands in brackets"));
        }
        let host = bare.unwrap_or(host);
        if host.is_empty() {
            return Err(wrong("it has no host"));
        }
        match port.parse() {
            Ok(port) if port > 0 => Ok(Self::Tcp { host: host.to_owned(), port }),
            _ => Err(wrong("its port is no number between 1 and 65535")),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp { host: address.ip().to_string(), port: address.port() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_it_is_read() {
        for text in ["10.0.0.7:8001", "fraud.ml.svc:80", "[::1]:443", "unix:/run/app.sock"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_says_why() {
        for (text, why) in [
            ("localhost", "no port"),
            (":80", "no host"),
            ("a:0", "no number between"),
            ("a:65536", "no number between"),
            ("::1:80", "brackets"),
            ("unix:", "no path"),
        ] {
            let said = text.parse::<Address>().unwrap_err();
            assert!(said.contains(why) && said.contains("expected HOST:PORT"), "{said}");
        }
    }
}
