//! One endpoint of a cluster, as all threads see it: how it does, and whether it is to be asked.

use super::{
    address::Address,
    connect::Secure,
    peers::Member,
    pool::{self, dial::Dial},
    settings::Settings,
};
use crate::observe::{metrics::Attempts, trace};
use infermesh_policy::{
    Chance, Deadline, Event, Outcome,
    balancer::peak_ewma::{Flight, Load},
    breaker::{Breaker, Permit, State as Circuit},
    outcome::Bound,
    outlier::{Cause, Ejection},
};
use infermesh_telemetry::Log;
use std::{
    rc::Rc,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

pub struct Endpoint {
    /// Of this process, never used again.
    pub id: u64,
    pub address: Address,
    pub counts: Arc<Attempts>,
    pool: pool::Settings,
    tls: Option<Arc<Secure>>,
    log: Arc<Log>,
    /// Of its cluster.
    name: Arc<str>,
    /// What active checks say.
    healthy: AtomicBool,
    /// Beside the others of its cluster, if they are compared.
    member: Option<Member>,
    state: Mutex<State>,
}

pub struct State {
    pub load: Load,
    pub breaker: Option<Breaker>,
    /// Until when it is left alone because others do better.
    pub ejected: Option<Instant>,
    /// Why it fails its checks.
    ill: Option<String>,
    chance: Chance,
}

impl State {
    /// Whether it was not ejected, or no longer is: then it is as good as new.
    fn is_admitted(&mut self, now: Instant) -> bool {
        match self.ejected {
            Some(until) if now < until => return false,
            Some(_) => self.readmit(),
            None => {}
        }
        true
    }

    fn readmit(&mut self) {
        if self.ejected.take().is_some() {
            self.load.forget();
        }
    }
}

impl Endpoint {
    pub fn new(
        address: Address,
        settings: &Settings,
        member: Option<Member>,
        log: Arc<Log>,
        now: Instant,
    ) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let load = Load::new(now, settings.latency.clone());
        let breaker = settings.breaker.clone().map(|settings| Breaker::new(now, settings));
        let this = Arc::new(Self {
            id: NEXT.fetch_add(1, Relaxed),
            address,
            counts: Arc::default(),
            pool: settings.pool.clone(),
            tls: settings.tls.clone(),
            log,
            name: settings.name.clone(),
            healthy: AtomicBool::new(true),
            member,
            state: Mutex::new(State { load, breaker, ejected: None, ill: None, chance: Chance::default() }),
        });
        if let Some(member) = &this.member {
            member.is(&this);
        }
        this
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

    /// How it is reached, by whoever makes connections of its own.
    pub fn access(&self) -> (Option<Arc<Secure>>, Duration) {
        (self.tls.clone(), self.pool.connect_timeout)
    }

    /// It fails its checks.
    pub fn set_ill(&self, why: String) {
        self.lock().ill = Some(why);
        self.healthy.store(false, Relaxed);
    }

    /// It passes them again, and is as good as new.
    pub fn set_well(&self) {
        let mut state = self.lock();
        state.ill = None;
        state.load.forget();
        self.healthy.store(true, Relaxed);
    }

    /// Others do better.
    pub fn eject(&self, ejection: &Ejection, now: Instant) {
        self.lock().ejected = Some(ejection.until);
        let time = ejection.until.saturating_duration_since(now);
        let why = match ejection.cause {
            Cause::Consecutive(failures) => format!("{failures} failures in a row"),
            Cause::SuccessRate { found, enough } => {
                format!("{:.1} % successes, where others have more than {:.1} %", found * 1e2, enough * 1e2)
            }
        };
        self.warn(&format!("is left alone for {time:.1?} because others do better: {why}"));
    }

    /// It is not left alone any longer.
    pub fn pardon(&self) {
        self.lock().readmit();
    }

    /// It is no longer one of its cluster.
    pub fn leave(&self, now: Instant) {
        if let Some(member) = &self.member {
            member.leave(now);
        }
    }

    fn warn(&self, what: &str) {
        let address = self.address.to_string();
        let said = format!("{address} of '{}' {what}", self.name);
        self.log.warning("endpoint-state", said, [("server.address", address.into())]);
    }

    /// What its breaker does now.
    fn tell(&self, circuit: Circuit, now: Instant) {
        match circuit {
            Circuit::Open { until } => {
                let time = until.saturating_duration_since(now);
                self.warn(&format!("is left alone for {time:.1?} after failures"));
            }
            Circuit::Closed => self.warn("answers again"),
            Circuit::HalfOpen => {}
        }
    }

    /// Whether it may be asked at this moment.
    pub fn is_available(&self, now: Instant) -> bool {
        if !self.is_healthy() {
            return false;
        }
        let mut state = self.lock();
        state.is_admitted(now) && state.breaker.as_ref().is_none_or(|breaker| breaker.is_available(now))
    }

    /// Why it is not asked, for people.
    pub fn describe(&self, now: Instant) -> String {
        let address = &self.address;
        let state = self.lock();
        if let Some(why) = &state.ill {
            return format!("{address} fails its health checks: {why}");
        }
        if let Some(until) = state.ejected.filter(|until| now < *until) {
            let left = until.saturating_duration_since(now);
            return format!("{address} is left alone because others do better, for {left:.1?} more");
        }
        match &state.breaker {
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
        let turned = {
            let State { load, breaker, chance, .. } = &mut *self.endpoint.lock();
            load.end(now, flight, outcome);
            let breaker = breaker.as_mut().zip(permit);
            let turned = breaker.and_then(|(breaker, permit)| breaker.record(now, permit, outcome, chance));
            if matches!(turned, Some(Circuit::Open { .. })) {
                load.forget();
            }
            turned
        };
        if let Some(circuit) = turned {
            self.endpoint.tell(circuit, now);
        }
        if let Some(member) = &self.endpoint.member {
            member.record(outcome.class, now);
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
