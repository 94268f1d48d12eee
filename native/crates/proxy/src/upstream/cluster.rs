//! A set of endpoints that do the same: which there are, and which is asked next.

use super::{
    address::Address,
    endpoint::{Endpoint, Ticket},
    http2::Habits,
    pool,
};
use crate::{
    plan::{duration, duration_or},
    proto,
};
use infermesh_policy::{
    Chance,
    balancer::{p2c, peak_ewma},
    breaker,
    budget::{self, Budget},
};
use infermesh_wire::{Code, Error};
use smallvec::SmallVec;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
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
    latency: peak_ewma::Settings,
    breaker: Option<breaker::Settings>,
}

impl Cluster {
    /// Fails with the field that is wrong.
    pub fn new(given: &proto::Cluster, now: Instant) -> Result<Self, String> {
        let settings = Settings::new(given)?;
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
        let mut open: SmallVec<[(usize, f64); 8]> = SmallVec::new();
        for (index, endpoint) in endpoints.iter().enumerate() {
            if endpoint.is_healthy() {
                let state = endpoint.lock();
                if state.breaker.as_ref().is_none_or(|breaker| breaker.is_available(now)) {
                    open.push((index, state.latency.cost(now, endpoint.pending())));
                }
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
