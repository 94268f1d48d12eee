//! How often a route may be called: by all, by each caller, with each value of a header.

use super::refusal::Refusal;
use crate::proto;
use http::{HeaderMap, HeaderName, HeaderValue};
use infermesh_policy::rate::{Limiter, Settings};
use infermesh_transport::{peer::address::Peer, tls::spiffe::SpiffeId};
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

pub struct Rate {
    key: Key,
    limiter: Mutex<Limiter>,
    /// For people.
    most: String,
}

/// What has a bucket of its own.
enum Key {
    All,
    /// Who it has proved to be, else where it is.
    Caller,
    /// Those without it have one together.
    Header(HeaderName),
}

impl Rate {
    /// Fails with the field that is wrong.
    pub fn new(given: &proto::RateLimit) -> Result<Self, String> {
        let mut settings = Settings::per_second(given.rate);
        if given.burst > 0 {
            settings.burst = given.burst;
        }
        settings.check()?;
        let key = Key::new(given)?;
        let whose = match &key {
            Key::All => String::new(),
            Key::Caller => " from each caller".to_owned(),
            Key::Header(name) => format!(" for each value of {name}"),
        };
        let most = format!("{} requests per second{whose}", given.rate);
        Ok(Self { key, limiter: Mutex::new(Limiter::new(&settings)), most })
    }

    pub fn take(&self, peer: &Peer, headers: &HeaderMap, now: Instant) -> Result<(), Refusal> {
        let taken = match &self.key {
            Key::All => self.bucket(b"", now),
            Key::Caller => {
                let identity = peer.identity.as_deref().map(SpiffeId::as_str);
                self.bucket(identity.unwrap_or_else(|| peer.host()).as_bytes(), now)
            }
            Key::Header(name) => self.bucket(headers.get(name).map_or(b"", HeaderValue::as_bytes), now),
        };
        taken.map_err(|wait| Refusal::Rate { most: self.most.clone(), wait })
    }

    fn bucket(&self, key: &[u8], now: Instant) -> Result<(), Duration> {
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner).take(key, now)
    }
}

impl Key {
    fn new(given: &proto::RateLimit) -> Result<Self, String> {
        match (given.key(), given.header.as_str()) {
            (proto::RateKey::Header, "") => {
                Err("header: it is empty; expected the header whose values are the key".into())
            }
            (proto::RateKey::Header, name) => {
                let known = name.parse().map_err(|_| format!("header: '{name}' is no header's name"))?;
                Ok(Self::Header(known))
            }
            (_, name) if !name.is_empty() => {
                Err(format!("header: found '{name}'; expected none, as headers are not the key"))
            }
            (proto::RateKey::Caller, _) => Ok(Self::Caller),
            (proto::RateKey::Unspecified, _) => Ok(Self::All),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn rate(key: proto::RateKey, header: &str) -> Rate {
        let given = proto::RateLimit { rate: 1.0, burst: 1, key: key.into(), header: header.into() };
        Rate::new(&given).unwrap()
    }

    fn peer(address: &str, identity: Option<&str>) -> Peer {
        let identity = identity.map(|id| Arc::new(id.parse().unwrap()));
        Peer { identity, ..Peer::tcp(address.parse().unwrap()) }
    }

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([("x-tenant".parse().unwrap(), value.parse().unwrap())])
    }

    #[test]
    fn all_together_have_one_bucket() {
        let (rate, now) = (rate(proto::RateKey::Unspecified, ""), Instant::now());
        rate.take(&peer("10.0.0.7:1", None), &headers("a"), now).unwrap();
        let refusal = rate.take(&peer("10.0.0.8:1", None), &headers("b"), now).unwrap_err();
        let most = "1 requests per second".to_owned();
        assert_eq!(refusal, Refusal::Rate { most, wait: Duration::from_secs(1) });
    }

    #[test]
    fn a_caller_is_an_identity_or_an_address() {
        let (rate, now) = (rate(proto::RateKey::Caller, ""), Instant::now());
        let take = |address, identity| rate.take(&peer(address, identity), &HeaderMap::new(), now).is_ok();
        assert!(take("10.0.0.7:1", None));
        assert!(!take("10.0.0.7:2", None) && take("10.0.0.8:1", None));
        assert!(take("10.0.0.7:3", Some("spiffe://shop/a")) && take("10.0.0.7:3", Some("spiffe://shop/b")));
        assert!(!take("10.0.0.9:1", Some("spiffe://shop/a")));
    }

    #[test]
    fn each_value_of_a_header_has_its_own_and_its_absence_one() {
        let (rate, now) = (rate(proto::RateKey::Header, "X-Tenant"), Instant::now());
        let caller = peer("10.0.0.7:1", None);
        let take = |headers: &HeaderMap| rate.take(&caller, headers, now).is_ok();
        assert!(take(&headers("a")) && take(&headers("b")) && take(&HeaderMap::new()));
        assert!(!take(&headers("a")) && !take(&HeaderMap::new()));
    }

    #[test]
    fn settings_that_are_wrong_say_so() {
        let said = |rate, key: proto::RateKey, header: &str| {
            Rate::new(&proto::RateLimit { rate, burst: 0, key: key.into(), header: header.into() }).err()
        };
        let (all, header) = (proto::RateKey::Unspecified, proto::RateKey::Header);
        assert_eq!(said(5.0, all, ""), None);
        let expected = "rate is 0.0: expected 0.000001 to 1,000,000,000";
        assert_eq!(said(0.0, all, "").unwrap(), expected);
        assert!(said(1.0, header, "").unwrap().contains("expected the header"));
        assert_eq!(said(1.0, header, "a b").unwrap(), "header: 'a b' is no header's name");
        assert!(said(1.0, all, "x-tenant").unwrap().starts_with("header: found 'x-tenant'"));
    }
}
