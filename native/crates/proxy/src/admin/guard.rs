//! Who may ask what. In a Pod the endpoint is open to all, because probes and Prometheus come from elsewhere: they get what they
//! come for, and everything else is for those on this machine, where `kubectl port-forward` ends, too.

use http::{StatusCode, header::HOST, request::Parts};
use infermesh_rest::answer::{self, Answer};
use infermesh_transport::peer::address::Peer;
use std::net::IpAddr;

/// For everybody.
const OPEN: [&str; 3] = ["/live", "/ready", "/metrics"];

/// `None`: it may be answered.
pub fn refusal(peer: &Peer, head: &Parts) -> Option<Answer> {
    if OPEN.contains(&head.uri.path()) {
        return None;
    }
    if !peer.is_near {
        let said = format!(
            "found a caller at {}, expected one on this machine: from elsewhere only {} are answered; \
             kubectl port-forward, or a shell beside it, comes from loopback",
            peer.host(),
            OPEN.join(", ")
        );
        return Some(answer::refusal(StatusCode::FORBIDDEN, &said));
    }
    // A page from elsewhere could make a name of its own lead here, and read along.
    let host = head.headers.get(HOST).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let host = host.filter(|host| !is_loopback(host))?;
    let said = format!("found host '{host}', expected localhost or an address of loopback");
    Some(answer::refusal(StatusCode::FORBIDDEN, &said))
}

/// Of a `Host`, with or without a port.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(name, _)| name),
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn asked(peer: &str, host: &str, path: &str) -> Option<Answer> {
        let head = Request::get(path).header(HOST, host).body(()).unwrap().into_parts().0;
        refusal(&Peer::tcp(peer.parse().unwrap()), &head)
    }

    #[test]
    fn from_elsewhere_only_probes_and_numbers_are_answered() {
        for path in OPEN {
            assert!(asked("10.0.0.7:1", "10.0.0.8:15000", path).is_none(), "{path}");
        }
        for path in
            ["/", "/stats", "/tap", "/drain", "/quit", "/config", "/api/stream", "/metrics/", "/other"]
        {
            let refusal = asked("10.0.0.7:1", "127.0.0.1:15000", path).unwrap();
            assert_eq!(refusal.status(), 403, "{path}");
            let said = String::from_utf8(refusal.into_body().concat()).unwrap();
            assert!(said.contains("found a caller at 10.0.0.7, expected one on this machine"), "{said}");
            assert!(asked("[::1]:1", "[::1]:15000", path).is_none(), "{path}");
        }
    }

    #[test]
    fn a_name_of_somebody_else_leads_nowhere() {
        for host in ["localhost", "LocalHost:15000", "127.0.0.1:15000", "[::1]", "[::1]:15000", "127.1.2.3"] {
            assert!(asked("127.0.0.1:1", host, "/").is_none(), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example:1", "10.0.0.7:15000", "[fd00::1]:1", "[::1", ""]
        {
            assert!(asked("127.0.0.1:1", host, "/stats").is_some(), "{host}");
        }
    }

    #[test]
    fn who_names_no_host_is_no_browser() {
        let head = Request::get("/stats").body(()).unwrap().into_parts().0;
        assert!(refusal(&Peer::tcp("127.0.0.1:1".parse().unwrap()), &head).is_none());
    }
}
