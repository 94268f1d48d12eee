//! What the threads of a proxy share, and what each of them has for its requests.

use crate::{
    observe::{access::Access, tap::Tap, trace::Tracing},
    plan::Plan,
    proto,
    transcode::signatures::Signatures,
    upstream::{endpoint::Endpoint, pool::Pool},
};
use infermesh_policy::{Chance, replay};
use infermesh_telemetry::{Log, Traces};
use infermesh_transport::{
    Connections,
    budget::{Budget, Purse},
    tls::Identity,
};
use std::{
    cell::RefCell,
    collections::HashMap,
    rc::Rc,
    sync::{Arc, atomic::AtomicBool},
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
    pub traces: Arc<Traces>,
    pub tracing: Tracing,
    /// Of a body that is received whole.
    pub max_message: usize,
    pub signatures: Signatures,
    pub ready: AtomicBool,
    /// Somebody has asked at the admin endpoint for the end of this process.
    pub drain_requested: AtomicBool,
}

/// What a request needs: of the proxy, of this thread. Not shared with other threads.
pub struct Local {
    pub shared: Arc<Shared>,
    pub purse: Rc<Purse>,
    pub chance: RefCell<Chance>,
    pools: RefCell<HashMap<u64, Rc<Pool>>>,
}

impl Local {
    pub fn new(shared: Arc<Shared>) -> Rc<Self> {
        Rc::new(Self {
            purse: Purse::new(shared.budget.clone()),
            shared,
            chance: RefCell::default(),
            pools: RefCell::default(),
        })
    }

    /// This thread's connections to an endpoint.
    pub fn pool(&self, endpoint: &Endpoint) -> Rc<Pool> {
        self.pools.borrow_mut().entry(endpoint.id).or_insert_with(|| endpoint.pool()).clone()
    }
}
