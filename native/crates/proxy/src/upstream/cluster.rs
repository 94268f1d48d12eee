//! A set of endpoints that do the same: which there are, and which is asked next.

use super::{
    address::Address,
    discover::Name,
    endpoint::{Endpoint, Ticket},
    health::Check,
    peers::Peers,
    settings::Settings,
    split::Split,
};
use crate::{plan::duration_or, proto};
use infermesh_policy::{
    Chance, Deadline,
    balancer::p2c::{Standing, pick},
};
use infermesh_telemetry::Log;
use infermesh_transport::tls::Identity;
use infermesh_wire::{Code, Error};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// Between two lookups of a name.
const LOOKUP_INTERVAL: Duration = Duration::from_secs(5);

/// Names of endpoints in one message.
const SHOWN: usize = 8;

pub struct Cluster {
    pub name: String,
    /// What requests that are made here call it.
    pub authority: String,
    pub protocol: proto::UpstreamProtocol,
    /// Under which its endpoints are looked up, if they are.
    pub discovered: Option<Name>,
    /// Whose requests go to others in part.
    pub split: Option<Split>,
    settings: Settings,
    log: Arc<Log>,
    /// Where they are compared.
    peers: Option<Arc<Peers>>,
    endpoints: RwLock<Arc<[Arc<Endpoint>]>>,
    changed: watch::Sender<()>,
    /// Why it is not known which there are.
    trouble: Mutex<Option<String>>,
}

impl Cluster {
    /// Fails with the field that is wrong. `whole` are the clusters that a part of its requests may go to.
    pub fn new(
        given: &proto::Cluster,
        whole: &HashMap<&str, Arc<Self>>,
        identity: Option<&Arc<Identity>>,
        log: &Arc<Log>,
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
            authority: authority(given),
            protocol: given.protocol(),
            discovered: discovered(given)?,
            split: Split::new(given, whole)?,
            peers: settings.outlier.clone().map(|settings| Peers::new(settings, now)),
            settings,
            log: log.clone(),
            endpoints: RwLock::new(Arc::new([])),
            changed: watch::Sender::default(),
            trouble: Mutex::default(),
        };
        this.set(addresses, now);
        Ok(this)
    }

    /// Replaces the endpoints; those that stay keep what is known of them, and one that is named twice is one.
    pub fn set(&self, addresses: Vec<Address>, now: Instant) {
        let mut endpoints = self.endpoints.write().unwrap_or_else(PoisonError::into_inner);
        let known = endpoints.clone();
        let mut seen = HashSet::new();
        *endpoints = addresses
            .into_iter()
            .filter(|address| seen.insert(address.clone()))
            .map(|address| match known.iter().find(|endpoint| endpoint.address == address) {
                Some(endpoint) => endpoint.clone(),
                None => {
                    let member = self.peers.as_ref().map(Peers::enter);
                    Endpoint::new(address, &self.settings, member, self.log.clone(), now)
                }
            })
            .collect();
        let current = endpoints.clone();
        drop(endpoints);
        for gone in known.iter().filter(|known| !current.iter().any(|endpoint| endpoint.id == known.id)) {
            gone.leave(now);
        }
        self.changed.send_replace(());
    }

    /// Why it is not known which endpoints there are; `None` if it is.
    pub fn trouble(&self, why: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// Tells whenever there may be other endpoints.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// How its endpoints are asked whether they are well, if they are.
    pub fn check(&self) -> Option<Check> {
        self.settings.check.clone()
    }

    /// Of its endpoints.
    pub fn ids(&self) -> Vec<u64> {
        self.endpoints().iter().map(|endpoint| endpoint.id).collect()
    }

    pub fn endpoints(&self) -> Arc<[Arc<Endpoint>]> {
        self.endpoints.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The cluster that one request for this one goes to, with all of its attempts. A share of which nobody can be asked stays
    /// here: a canary that has not come up yet, or is all ill, costs no request.
    pub fn next(self: &Arc<Self>) -> &Arc<Self> {
        let chosen = self.split.as_ref().and_then(Split::next);
        chosen.filter(|cluster| cluster.is_available(Instant::now())).unwrap_or(self)
    }

    fn is_available(&self, now: Instant) -> bool {
        self.endpoints().iter().any(|endpoint| endpoint.is_available(now))
    }

    /// Begins an attempt at the better of two endpoints that may be asked, rather at one that has not been `tried`. Fails with
    /// UNAVAILABLE and what is known of each.
    pub fn pick(
        &self,
        tried: &[u64],
        deadline: Deadline,
        chance: &mut Chance,
        now: Instant,
    ) -> Result<Ticket, Error> {
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
            if let Some(ticket) = Ticket::begin(&endpoints[index], deadline, now) {
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
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let said = match (states.is_empty(), trouble) {
            (true, Some(why)) => format!("service '{}' has no endpoint: {why}", self.name),
            (true, None) => format!("service '{}' has no endpoint", self.name),
            (false, _) => format!("no endpoint of '{}' is available: {}", self.name, states.join("; ")),
        };
        Error::new(Code::Unavailable, said)
    }
}

/// Fails with the field that is wrong.
fn discovered(given: &proto::Cluster) -> Result<Option<Name>, String> {
    let Some(proto::cluster::Discovery::Dns(dns)) = &given.discovery else { return Ok(None) };
    if dns.host.is_empty() {
        return Err("dns.host: it is empty; expected a name to look up".into());
    }
    let port = u16::try_from(dns.port).ok().filter(|port| *port > 0);
    let port =
        port.ok_or_else(|| format!("dns.port: found {}, expected a number from 1 to 65535", dns.port))?;
    let interval = duration_or(dns.interval_ns, LOOKUP_INTERVAL);
    Ok(Some(Name { host: dns.host.clone(), port, interval }))
}

/// The name that is looked up, or the first address.
fn authority(given: &proto::Cluster) -> String {
    match &given.discovery {
        Some(proto::cluster::Discovery::Dns(dns)) => format!("{}:{}", dns.host, dns.port),
        Some(proto::cluster::Discovery::Static(known)) => {
            let first = known.endpoints.first().filter(|endpoint| !endpoint.starts_with("unix:"));
            first.cloned().unwrap_or_else(|| "localhost".to_owned())
        }
        None => String::new(),
    }
}
