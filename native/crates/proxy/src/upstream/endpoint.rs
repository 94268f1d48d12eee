//! One endpoint of a cluster, as all threads see it: how it does, and whether it is to be asked.

use super::{address::Address, pool};
use infermesh_policy::{
    Chance, Event, Outcome,
    balancer::peak_ewma::PeakEwma,
    breaker::Breaker,
};
use std::{
    rc::Rc,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};

pub struct Endpoint {
    /// Of this process, never used again.
    pub id: u64,
    pub address: Address,
    pool: pool::Settings,
    /// Requests under way.
    pending: AtomicUsize,
    /// What active checks say.
    healthy: AtomicBool,
    state: Mutex<State>,
}

pub struct State {
    pub latency: PeakEwma,
    pub breaker: Option<Breaker>,
    pub chance: Chance,
}

impl Endpoint {
    pub fn new(address: Address, pool: pool::Settings, latency: PeakEwma, breaker: Option<Breaker>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            id: NEXT.fetch_add(1, Relaxed),
            address,
            pool,
            pending: AtomicUsize::new(0),
            healthy: AtomicBool::new(true),
            state: Mutex::new(State { latency, breaker, chance: Chance::default() }),
        }
    }

    pub fn pool(&self) -> Rc<pool::Pool> {
        pool::Pool::new(self.address.clone(), self.pool)
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn pending(&self) -> usize {
        self.pending.load(Relaxed)
    }

    pub fn is_healthy(&self) -> bool {
        self.healthy.load(Relaxed)
    }
}

/// An attempt at an endpoint, until it is known how it went.
pub struct Ticket {
    pub endpoint: Arc<Endpoint>,
    begun: Instant,
    finished: bool,
}

impl Ticket {
    pub fn begin(endpoint: Arc<Endpoint>, now: Instant) -> Self {
        endpoint.pending.fetch_add(1, Relaxed);
        Self { endpoint, begun: now, finished: false }
    }

    pub fn finish(mut self, event: Event, now: Instant) {
        self.settle(event, now);
    }

    fn settle(&mut self, event: Event, now: Instant) {
        self.finished = true;
        self.endpoint.pending.fetch_sub(1, Relaxed);
        let class = Outcome::from(event).class;
        let mut state = self.endpoint.lock();
        let state = &mut *state;
        state.latency.record(now, now - self.begun, class);
        if let Some(breaker) = &mut state.breaker {
            breaker.record(now, class, &mut state.chance);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.finished {
            self.settle(Event::GivenUp, Instant::now());
        }
    }
}
