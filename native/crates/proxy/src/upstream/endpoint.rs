//! One endpoint of a cluster, as all threads see it: how it does, and whether it is to be asked.

use super::{
    address::Address,
    connect::Secure,
    pool::{self, dial::Dial},
    settings::Settings,
};
use crate::observe::{metrics::Attempts, trace};
use infermesh_policy::{
    Chance, Deadline, Event, Outcome,
    balancer::peak_ewma::{Flight, Load},
    breaker::{Breaker, Permit, State as Circuit},
    outcome::Bound,
};
use std::{
    rc::Rc,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

pub struct Endpoint {
    /// Of this process, never used again.
    pub id: u64,
    pub address: Address,
    pub counts: Arc<Attempts>,
    pool: pool::Settings,
    tls: Option<Arc<Secure>>,
    /// What active checks say.
    healthy: AtomicBool,
    state: Mutex<State>,
}

pub struct State {
    pub load: Load,
    pub breaker: Option<Breaker>,
    chance: Chance,
}

impl Endpoint {
    pub fn new(address: Address, settings: &Settings, now: Instant) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let load = Load::new(now, settings.latency.clone());
        let breaker = settings.breaker.clone().map(|settings| Breaker::new(now, settings));
        Self {
            id: NEXT.fetch_add(1, Relaxed),
            address,
            counts: Arc::default(),
            pool: settings.pool.clone(),
            tls: settings.tls.clone(),
            healthy: AtomicBool::new(true),
            state: Mutex::new(State { load, breaker, chance: Chance::default() }),
        }
    }

    /// Connections to it, for one thread.
    pub fn pool(&self) -> Rc<pool::Pool> {
        let (tls, counts) = (self.tls.clone(), self.counts.clone());
        pool::Pool::new(Dial::new(self.address.clone(), tls, self.pool.clone(), counts))
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether its active checks succeed, as far as there are any.
    pub fn is_healthy(&self) -> bool {
        self.healthy.load(Relaxed)
    }

    /// Whether it may be asked at this moment.
    pub fn is_available(&self, now: Instant) -> bool {
        self.healthy.load(Relaxed)
            && self.lock().breaker.as_ref().is_none_or(|breaker| breaker.is_available(now))
    }

    /// Why it is not asked, for people.
    pub fn describe(&self, now: Instant) -> String {
        let address = &self.address;
        if !self.healthy.load(Relaxed) {
            return format!("{address} fails its health checks");
        }
        match &self.lock().breaker {
            Some(breaker) if !breaker.is_available(now) => {
                let until = match breaker.state() {
                    Circuit::Open { until } => {
                        format!(", for {:.1?} more", until.saturating_duration_since(now))
                    }
                    _ => ", while a probe is under way".to_owned(),
                };
                format!("{address} is left alone after failures{until}")
            }
            _ => format!("{address} was tried"),
        }
    }
}

/// An attempt at an endpoint, until it is known how it went.
pub struct Ticket {
    pub endpoint: Arc<Endpoint>,
    begun: Instant,
    /// When whoever wants it gives it up.
    deadline: Deadline,
    /// Its span, if it is recorded.
    pub span: Option<Box<trace::Attempt>>,
    flight: Option<(Flight, Option<Permit>)>,
}

impl Ticket {
    /// `None` if it has been found to be unavailable meanwhile.
    pub fn begin(endpoint: &Arc<Endpoint>, deadline: Deadline, now: Instant) -> Option<Self> {
        let mut state = endpoint.lock();
        let permit = match &mut state.breaker {
            Some(breaker) => Some(breaker.admit(now)?),
            None => None,
        };
        let flight = state.load.start(now);
        drop(state);
        let flight = Some((flight, permit));
        Some(Self { endpoint: endpoint.clone(), begun: now, deadline, span: None, flight })
    }

    /// The answer begins.
    pub fn answered(&mut self, now: Instant) {
        if let Some((flight, _)) = &mut self.flight {
            self.endpoint.lock().load.answer(now, flight);
        }
    }

    pub fn finish(mut self, event: Event, now: Instant) {
        self.settle(event, now);
    }

    fn settle(&mut self, event: Event, now: Instant) {
        let Some((flight, permit)) = self.flight.take() else { return };
        self.endpoint.counts.ended(event, now.saturating_duration_since(self.begun));
        if let Some(span) = self.span.take() {
            span.over(event, now);
        }
        let outcome = Outcome::from(event);
        let State { load, breaker, chance } = &mut *self.endpoint.lock();
        load.end(now, flight, outcome);
        if let (Some(breaker), Some(permit)) = (breaker, permit) {
            breaker.record(now, permit, outcome, chance);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.flight.is_none() {
            return;
        }
        let now = Instant::now();
        // Whoever waits for the whole request lets its attempts go when its time is up: that is no change of mind.
        let is_late = self.deadline.has_passed(now);
        self.settle(if is_late { Event::TimedOut(Bound::Request) } else { Event::GivenUp }, now);
    }
}
