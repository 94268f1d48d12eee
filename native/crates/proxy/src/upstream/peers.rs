//! The endpoints of a cluster beside each other: who does worse than the others is left alone for a while.

use super::endpoint::Endpoint;
use infermesh_policy::{
    Class,
    outlier::{Id, Outliers, Settings},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Instant,
};

pub struct Peers(Mutex<State>);

struct State {
    outliers: Outliers,
    members: BTreeMap<Id, Weak<Endpoint>>,
}

/// One of them.
pub struct Member {
    peers: Arc<Peers>,
    id: Id,
}

impl Peers {
    pub fn new(settings: Settings, now: Instant) -> Arc<Self> {
        let outliers = Outliers::new(now, settings);
        Arc::new(Self(Mutex::new(State { outliers, members: BTreeMap::new() })))
    }

    pub fn enter(self: &Arc<Self>) -> Member {
        Member { peers: self.clone(), id: self.lock().outliers.add() }
    }

    /// What is decided is done under the same lock, so that nothing else is decided in between.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Member {
    /// Whom it is about.
    pub fn is(&self, endpoint: &Arc<Endpoint>) {
        self.peers.lock().members.insert(self.id, Arc::downgrade(endpoint));
    }

    /// A request has ended. Not to be called while the state of an endpoint is locked.
    pub fn record(&self, class: Class, now: Instant) {
        let State { outliers, members } = &mut *self.peers.lock();
        for ejection in outliers.record(now, self.id, class) {
            if let Some(endpoint) = members.get(&ejection.id).and_then(Weak::upgrade) {
                endpoint.eject(&ejection, now);
            }
        }
    }

    /// It is no longer one of them; of the others some may be too many to be left alone.
    pub fn leave(&self, now: Instant) {
        let State { outliers, members } = &mut *self.peers.lock();
        outliers.remove(now, self.id);
        members.remove(&self.id);
        for (id, endpoint) in members {
            if let Some(endpoint) = endpoint.upgrade()
                && !outliers.is_ejected(now, *id)
            {
                endpoint.pardon();
            }
        }
    }
}
