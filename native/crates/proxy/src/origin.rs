//! Where a request comes from: what is known of it from its beginning, and what is counted for it wherever it goes.

use crate::{
    edge::Door,
    observe::{
        record::Begun,
        trace::{Context, Trace},
    },
    plan::Route,
    shared::{Local, Shared},
    upstream::{
        address::Address,
        cluster::Cluster,
        endpoint::{Endpoint, Ticket},
    },
};
use http::{Method, Request, request::Parts, uri::PathAndQuery};
use infermesh_transport::tls::spiffe::SpiffeId;
use std::{
    cell::{Cell, OnceCell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Instant,
};

pub struct Origin {
    local: Rc<Local>,
    pub door: Rc<Door>,
    pub started: Instant,
    pub grpc: bool,
    method: Method,
    path: Option<PathAndQuery>,
    context: RefCell<Context>,
    route: OnceCell<Arc<Route>>,
    /// Of its route's requests it is one of those that go to another cluster.
    split: OnceCell<Arc<Cluster>>,
    /// Whether its end will be told whatever it is; and its number for those who look at live requests.
    is_told: bool,
    pub number: Option<u64>,
    /// Bytes of its body so far.
    received: Cell<u64>,
    attempts: Cell<u32>,
    /// Who was asked last.
    endpoint: RefCell<Option<Arc<Endpoint>>>,
}

impl Origin {
    /// Says in the request's head which trace it is a part of, if that is our business.
    pub fn of(
        local: &Rc<Local>,
        door: &Rc<Door>,
        head: &mut Parts,
        grpc: bool,
        started: Instant,
    ) -> Rc<Self> {
        let shared = &local.shared;
        let number = shared.tap.number();
        let is_told = number.is_some() || shared.log.accesses();
        let context = shared.tracing.begin(door.listener.direction, &mut head.headers, is_told);
        Rc::new(Self {
            local: local.clone(),
            door: door.clone(),
            started,
            grpc,
            method: head.method.clone(),
            path: head.uri.path_and_query().cloned(),
            is_told: is_told || context.trace.is_some(),
            context: RefCell::new(context),
            route: OnceCell::new(),
            split: OnceCell::new(),
            number,
            received: Cell::default(),
            attempts: Cell::default(),
            endpoint: RefCell::default(),
        })
    }

    /// It is known where it goes.
    pub fn routed(&self, route: &Arc<Route>) {
        let _ = self.route.set(route.clone());
    }

    /// A cluster is asked by a route; if that is its own, and the cluster is another one than the route names, it is said to
    /// be there from now on.
    pub fn goes_to(&self, route: &Arc<Route>, cluster: &Arc<Cluster>) {
        if !Arc::ptr_eq(&route.cluster, cluster) && self.is_of(route) {
            let _ = self.split.set(cluster.clone());
        }
    }

    fn is_of(&self, route: &Arc<Route>) -> bool {
        self.route().is_some_and(|own| Arc::ptr_eq(own, route))
    }

    pub fn route(&self) -> Option<&Arc<Route>> {
        self.route.get()
    }

    pub fn shared(&self) -> &Shared {
        &self.local.shared
    }

    /// A part of its body has come.
    pub fn receive(&self, bytes: usize) {
        self.received.set(self.received.get() + bytes as u64);
    }

    pub fn received(&self) -> u64 {
        self.received.get()
    }

    pub fn attempts(&self) -> u32 {
        self.attempts.get()
    }

    /// Somebody is asked for it: by its own route, or by that of a model that is asked about it. `made`: others were before
    /// him.
    pub fn attempt(
        &self,
        route: &Arc<Route>,
        ticket: &mut Ticket,
        head: &Request<()>,
        grpc: bool,
        made: usize,
        now: Instant,
    ) {
        if let Some(trace) = &self.context.borrow().trace {
            let server = server(&ticket.endpoint.address);
            ticket.span = Some(Box::new(trace.attempt(head, grpc, server, made as u32, now)));
        }
        if self.is_of(route) {
            self.attempts.set(self.attempts.get() + 1);
            if self.is_told {
                *self.endpoint.borrow_mut() = Some(ticket.endpoint.clone());
            }
        }
    }

    /// The trace that it is a part of, whether that is recorded or not; none if traces are none of our business.
    pub fn trace(&self) -> Option<u128> {
        self.context.borrow().id
    }

    /// Whether its end is told whatever it is.
    pub fn is_told(&self) -> bool {
        self.is_told
    }

    /// Who was asked last, if its end is told.
    pub fn endpoint(&self) -> Option<String> {
        self.endpoint.borrow().as_ref().map(|endpoint| endpoint.address.to_string())
    }

    /// It has ended: what the app sends from now on is no part of it. The trace that it was a part of, if it is recorded.
    pub fn end(&self) -> Option<Trace> {
        let Context { trace, .. } = std::mem::take(&mut *self.context.borrow_mut());
        trace
    }

    /// For those who are told of it.
    pub fn begun(&self) -> Begun<'_> {
        let (context, route) = (self.context.borrow(), self.route());
        let cluster = self.split.get().or(route.map(|route| &route.cluster));
        Begun {
            grpc: self.grpc,
            method: self.method.as_str(),
            path: self.path.as_ref().map_or("", PathAndQuery::path),
            listener: &self.door.listener.name,
            route: route.map_or("", |route| &route.name),
            cluster: cluster.map_or("", |cluster| &cluster.name),
            peer: &self.door.peer.name,
            identity: self.door.peer.identity.as_deref().map(SpiffeId::as_str),
            trace: context.id,
            span: context.trace.as_ref().and_then(Trace::span),
        }
    }
}

/// As spans name it.
fn server(address: &Address) -> (String, Option<u16>) {
    match address {
        Address::Tcp { host, port } => (host.clone(), Some(*port)),
        Address::Unix(path) => (path.display().to_string(), None),
    }
}
