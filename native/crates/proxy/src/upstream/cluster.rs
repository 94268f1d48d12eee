//! A set of endpoints that do the same: which there are, and which is asked next.

use super::{
    address::Address,
    connect::Secure,
    endpoint::{Endpoint, Ticket},
    http2::Habits,
    pool,
};
use crate::{plan::duration_or, proto};
use infermesh_policy::{
    Chance,
    balancer::{
        p2c::{Standing, pick},
        peak_ewma::{self, Load},
    },
    breaker::{self, Breaker},
};
use infermesh_transport::tls::{Allowed, Identity, Upstream};
use infermesh_wire::{Code, Error};
use rustls::pki_types::ServerName;
use std::{
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

/// Names of endpoints in one message.
const SHOWN: usize = 8;

pub struct Cluster {
    pub name: String,
    pub protocol: proto::UpstreamProtocol,
    settings: Settings,
    endpoints: RwLock<Arc<[Arc<Endpoint>]>>,
}

struct Settings {
    pool: pool::Settings,
    tls: Option<Arc<Secure>>,
    latency: peak_ewma::Settings,
    breaker: Option<breaker::Settings>,
}

impl Cluster {
    /// Fails with the field that is wrong.
    pub fn new(
        given: &proto::Cluster,
        identity: Option<&Arc<Identity>>,
        now: Instant,
    ) -> Result<Self, String> {
        let settings = Settings::new(given, identity)?;
        let addresses = match &given.discovery {
            Some(proto::cluster::Discovery::Static(known)) => {
                let parsed = |(index, text): (usize, &String)| {
                    text.parse::<Address>().map_err(|why| format!("static.endpoints[{index}]: {why}"))
                };
                known.endpoints.iter().enumerate().map(parsed).collect::<Result<Vec<_>, _>>()?
            }
            Some(proto::cluster::Discovery::Dns(_)) => Vec::new(),
            None => return Err("discovery: it is missing; expected 'static' or 'dns'".into()),
        };
        let this = Self {
            name: given.name.clone(),
            protocol: given.protocol(),
            settings,
            endpoints: RwLock::new(Arc::new([])),
        };
        this.set(addresses, now);
        Ok(this)
    }

    /// Replaces the endpoints; those that stay keep what is known of them.
    pub fn set(&self, addresses: Vec<Address>, now: Instant) {
        let mut endpoints = self.endpoints.write().unwrap_or_else(PoisonError::into_inner);
        let known = endpoints.clone();
        *endpoints = addresses
            .into_iter()
            .map(|address| match known.iter().find(|endpoint| endpoint.address == address) {
                Some(endpoint) => endpoint.clone(),
                None => Arc::new(self.settings.endpoint(address, now)),
            })
            .collect();
    }

    pub fn endpoints(&self) -> Arc<[Arc<Endpoint>]> {
        self.endpoints.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Begins an attempt at the better of two endpoints that may be asked, rather at one that has not been `tried`. Fails with
    /// UNAVAILABLE and what is known of each.
    pub fn pick(&self, tried: &[u64], chance: &mut Chance, now: Instant) -> Result<Ticket, Error> {
        let endpoints = self.endpoints();
        let standing = |index: usize| match &endpoints[index] {
            endpoint if !endpoint.is_available(now) => Standing::Unavailable,
            endpoint if tried.contains(&endpoint.id) => Standing::Tried,
            _ => Standing::Available,
        };
        let cost = |index: usize| endpoints[index].lock().load.cost(now);
        // A probe that another thread was faster to send makes an endpoint unavailable between two looks.
        for _ in 0..endpoints.len() {
            let Some(index) = pick(endpoints.len(), chance, standing, cost) else { break };
            if let Some(ticket) = Ticket::begin(&endpoints[index], now) {
                return Ok(ticket);
            }
        }
        Err(self.none(&endpoints, now))
    }

    fn none(&self, endpoints: &[Arc<Endpoint>], now: Instant) -> Error {
        let mut states: Vec<String> =
            endpoints.iter().take(SHOWN).map(|endpoint| endpoint.describe(now)).collect();
        if endpoints.len() > SHOWN {
            states.push(format!("{} more", endpoints.len() - SHOWN));
        }
        let said = match states.is_empty() {
            true => format!("service '{}' has no endpoint", self.name),
            false => format!("no endpoint of '{}' is available: {}", self.name, states.join("; ")),
        };
        Error::new(Code::Unavailable, said)
    }
}

impl Settings {
    fn new(given: &proto::Cluster, identity: Option<&Arc<Identity>>) -> Result<Self, String> {
        let tls = given.tls.as_ref().map(|given| tls(given, identity)).transpose()?;
        let balance = given.balance.unwrap_or_default();
        let default = peak_ewma::Settings::default();
        let latency = peak_ewma::Settings {
            decay: duration_or(balance.decay_ns, default.decay),
            default_rtt: duration_or(balance.default_rtt_ns, default.default_rtt),
            ..default
        };
        latency.check().map_err(|why| format!("balance.{why}"))?;
        let breaker = given.breaker.as_ref().map(breaker_settings).transpose()?;
        Ok(Self { pool: pool_settings(&given.pool.unwrap_or_default()), tls, latency, breaker })
    }

    fn endpoint(&self, address: Address, now: Instant) -> Endpoint {
        let load = Load::new(now, self.latency.clone());
        let breaker = self.breaker.clone().map(|settings| Breaker::new(now, settings));
        Endpoint::new(address, self.pool, self.tls.clone(), load, breaker)
    }
}

fn tls(given: &proto::UpstreamTls, identity: Option<&Arc<Identity>>) -> Result<Arc<Secure>, String> {
    let identity = identity.ok_or("tls: it needs an identity, and the configuration has none")?;
    let allowed = Allowed::parse(&given.identities).map_err(|why| format!("tls.identities: {why}"))?;
    let name = match given.server_name.as_str() {
        "" => None,
        name => Some(
            ServerName::try_from(name.to_owned())
                .map_err(|_| format!("tls.server_name: '{name}' is neither a name of DNS nor an address"))?,
        ),
    };
    Ok(Arc::new(Secure { upstream: Upstream::new(identity.clone(), allowed), name }))
}

fn breaker_settings(given: &proto::Breaker) -> Result<breaker::Settings, String> {
    let default = breaker::Settings::default();
    let settings = breaker::Settings {
        backoff_base: duration_or(given.backoff_base_ns, default.backoff_base),
        backoff_max: duration_or(given.backoff_max_ns, default.backoff_max),
        ..default
    };
    settings.check().map_err(|why| format!("breaker.{why}"))?;
    Ok(settings)
}

fn pool_settings(given: &proto::Pool) -> pool::Settings {
    let count = |given: u32, default: usize| if given > 0 { given as usize } else { default };
    pool::Settings {
        connect_timeout: duration_or(given.connect_timeout_ns, Duration::from_secs(1)),
        max_http2: count(given.max_connections, 4),
        max_http1: count(given.max_connections, 256),
        max_pending: count(given.max_pending, 1024),
        habits: Habits {
            keepalive: duration_or(given.keepalive_ns, Duration::from_secs(10)),
            keepalive_timeout: duration_or(given.keepalive_timeout_ns, Duration::from_secs(5)),
            idle: duration_or(given.idle_timeout_ns, Duration::from_secs(60)),
            age: duration_or(given.max_age_ns, Duration::from_secs(300)),
        },
    }
}
