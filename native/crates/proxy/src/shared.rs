//! What the threads of a proxy share, and what each of them has for its requests.

use crate::{
    plan::Plan,
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
};

/// What every thread sees.
pub struct Shared {
    pub name: String,
    pub version: String,
    pub plan: Plan,
    /// Who this proxy is to its peers.
    pub identity: Option<Arc<Identity>>,
    pub connections: Arc<Connections>,
    pub budget: Arc<Budget>,
    /// Bodies that are kept to be sent again.
    pub replay: Arc<replay::Pool>,
    pub log: Arc<Log>,
    pub traces: Traces,
    pub ready: AtomicBool,
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
