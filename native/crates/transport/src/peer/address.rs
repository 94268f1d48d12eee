//! Who is at the other end of a connection.

use crate::tls::spiffe::SpiffeId;
use std::{net::SocketAddr, path::Path, sync::Arc};

pub struct Peer {
    /// For people.
    pub name: String,
    /// Whether it is on this machine, as far as the connection tells: behind a proxy on this machine everybody is.
    pub is_near: bool,
    /// Who it has proved to be.
    pub identity: Option<Arc<SpiffeId>>,
}

impl Peer {
    /// An address of this machine other than loopback is no proof: a router that rewrites addresses may wear it.
    pub fn tcp(address: SocketAddr) -> Self {
        // An IPv6 socket shows IPv4 peers in a form of its own.
        Self { name: address.to_string(), is_near: address.ip().to_canonical().is_loopback(), identity: None }
    }

    pub fn unix(socket: &Path) -> Self {
        Self { name: format!("unix:{}", socket.display()), is_near: true, identity: None }
    }

    /// Where it is: as `name`, without a port, which is another one for each connection.
    pub fn host(&self) -> &str {
        match self.name.rsplit_once(':') {
            Some((host, _)) if !self.name.starts_with("unix:") => host,
            _ => &self.name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_near_in_every_notation() {
        for address in ["127.0.0.1:1", "127.0.0.6:1", "127.255.255.254:1", "[::1]:1", "[::ffff:127.0.0.1]:1"]
        {
            assert!(Peer::tcp(address.parse().unwrap()).is_near, "{address}");
        }
        assert!(Peer::unix(Path::new("/run/infermesh.sock")).is_near);
    }

    #[test]
    fn a_host_is_the_same_for_all_its_connections() {
        for (address, host) in
            [("10.0.0.7:1", "10.0.0.7"), ("10.0.0.7:2", "10.0.0.7"), ("[fd00::1]:1", "[fd00::1]")]
        {
            assert_eq!(Peer::tcp(address.parse().unwrap()).host(), host);
        }
        assert_eq!(Peer::unix(Path::new("/run/a:1")).host(), "unix:/run/a:1");
    }

    #[test]
    fn every_other_address_is_far() {
        for address in [
            "0.0.0.0:1",
            "10.0.0.7:1",
            "126.255.255.255:1",
            "128.0.0.1:1",
            "169.254.0.1:1",
            "192.0.2.1:1",
            "[::]:1",
            "[::2]:1",
            "[fe80::1]:1",
            "[fd00::1]:1",
            "[2001:db8::1]:1",
            "[::ffff:10.0.0.7]:1",
            // IPv4-compatible, which was given up in 2006, and a translator's prefix: neither is loopback.
            "[::127.0.0.1]:1",
            "[64:ff9b::127.0.0.1]:1",
        ] {
            assert!(!Peer::tcp(address.parse().unwrap()).is_near, "{address}");
        }
    }
}
