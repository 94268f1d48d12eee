//! What the threads of a proxy share, and what each of them has for its requests.

use crate::{
    edge::stalled::Stalled,
    hooks::Hooks,
    infer::coalesce::Groups,
    observe::{access::Access, page::Page, picture::Picture, tap::Tap, trace::Tracing},
    plan::Plan,
    proto,
    transcode::signatures::Signatures,
    upstream::{endpoint::Endpoint, pool::Pool},
};
use infermesh_policy::{Chance, replay};
use infermesh_telemetry::{Log, Traces, log::Throttle};
use infermesh_transport::{
    Connections,
    budget::{Budget, Purse},
    tls::Identity,
};
use infermesh_wire::Error;
use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    rc::Rc,
    sync::{Arc, OnceLock, atomic::AtomicBool},
    time::Instant,
};

/// What every thread sees.
pub struct Shared {
    pub name: String,
    pub version: String,
    pub started: Instant,
    /// As it was given.
    pub config: proto::ProxyConfig,
    pub plan: Plan,
    /// Who this proxy is to its peers.
    pub identity: Option<Arc<Identity>>,
    pub connections: Arc<Connections>,
    pub budget: Arc<Budget>,
    /// Bodies that are kept to be sent again.
    pub replay: Arc<replay::Pool>,
    pub log: Arc<Log>,
    pub access: Access,
    pub tap: Arc<Tap>,
    pub picture: Picture,
    /// None: there is nothing for browsers.
    pub page: OnceLock<Page>,
    /// Keeps what is said of failures short.
    pub complaints: Throttle,
    pub traces: Arc<Traces>,
    pub tracing: Tracing,
    /// Of a body that is received whole.
    pub max_message: usize,
    pub signatures: Signatures,
    /// Functions in Python that requests wait for.
    pub hooks: Hooks,
    pub ready: AtomicBool,
    /// Somebody has asked at the admin endpoint for the end of this process.
    pub drain_requested: AtomicBool,
}

impl Shared {
    /// Tells the operator that an enrichment failed, unless there has been enough of that lately.
    pub fn complain(&self, rule: &str, error: &Error) {
        if let Some(skipped) = self.complaints.admit() {
            let said =
                format!("enrichment '{rule}' failed, the request passed without it: {}", error.message);
            let fields = [("infermesh.rule.name", rule.into()), ("infermesh.log.withheld", skipped.into())];
            self.log.warning("enrichment-failed", said, fields);
        }
    }
}

/// What a request needs: of the proxy, of this thread. Not shared with other threads.
pub struct Local {
    pub shared: Arc<Shared>,
    pub purse: Rc<Purse>,
    pub chance: RefCell<Chance>,
    pub groups: Groups,
    /// Answers over HTTP/2 whose readers take nothing.
    pub stalled: Stalled,
    pools: RefCell<HashMap<u64, Rc<Pool>>>,
}

impl Local {
    pub fn new(shared: Arc<Shared>) -> Rc<Self> {
        Rc::new(Self {
            purse: Purse::new(shared.budget.clone()),
            shared,
            chance: RefCell::default(),
            groups: Groups::default(),
            stalled: Stalled::default(),
            pools: RefCell::default(),
        })
    }

    /// This thread's connections to an endpoint. With a new one those make way whose endpoints are gone: they end when what is
    /// under way on them has ended.
    pub fn pool(&self, endpoint: &Endpoint) -> Rc<Pool> {
        if let Some(pool) = self.pools.borrow().get(&endpoint.id) {
            return pool.clone();
        }
        let clusters = self.shared.plan.clusters.iter();
        let known: HashSet<u64> = clusters.flat_map(|cluster| cluster.ids()).chain([endpoint.id]).collect();
        let mut pools = self.pools.borrow_mut();
        pools.retain(|id, _| known.contains(id));
        pools.entry(endpoint.id).or_insert_with(|| endpoint.pool()).clone()
    }
}
