//! New connections to an endpoint.

use super::{
    super::{
        address::Address,
        connect::{Limit, Secure, Socket, connect},
        http1, http2,
        term::Term,
    },
    Settings,
};
use crate::observe::metrics::Attempts;
use infermesh_policy::{Chance, age::Age};
use infermesh_transport::tls::{HTTP1, HTTP2};
use std::{
    cell::RefCell,
    fmt,
    rc::Rc,
    sync::{Arc, atomic::AtomicBool},
};
use tokio::{sync::Notify, time::Instant};

pub struct Dial {
    pub address: Address,
    pub settings: Settings,
    tls: Option<Arc<Secure>>,
    pub counts: Arc<Attempts>,
    gone: Arc<AtomicBool>,
    chance: RefCell<Chance>,
}

impl Dial {
    pub fn new(
        address: Address,
        tls: Option<Arc<Secure>>,
        settings: Settings,
        counts: Arc<Attempts>,
        gone: Arc<AtomicBool>,
    ) -> Self {
        Self { address, settings, tls, counts, gone, chance: RefCell::default() }
    }

    pub async fn http2(&self, news: Rc<Notify>) -> Result<Rc<http2::Connection>, String> {
        let (limit, term, counted) = (self.limit(), self.term(), self.counts.connection());
        let opened = match self.connect(HTTP2, limit).await? {
            Socket::Tcp(io) => http2::Connection::open(io, term, limit, news, counted).await,
            Socket::Tls(io) => http2::Connection::open(io, term, limit, news, counted).await,
            Socket::Unix(io) => http2::Connection::open(io, term, limit, news, counted).await,
        };
        opened.map_err(|why| format!("{self}: {why}"))
    }

    /// `place` is held until the connection has ended.
    pub async fn http1(&self, place: impl Sized + 'static) -> Result<http1::Connection, String> {
        let (term, place) = (self.term(), (place, self.counts.connection()));
        match self.connect(HTTP1, self.limit()).await? {
            Socket::Tcp(io) => http1::Connection::open(io, term, place).await,
            Socket::Tls(io) => http1::Connection::open(io, term, place).await,
            Socket::Unix(io) => http1::Connection::open(io, term, place).await,
        }
    }

    async fn connect(&self, protocol: &'static [u8], limit: Limit) -> Result<Socket, String> {
        connect(&self.address, self.tls.as_deref(), protocol, limit).await
    }

    fn limit(&self) -> Limit {
        Limit::from_now(self.settings.connect_timeout)
    }

    fn term(&self) -> Term {
        let (now, chance) = (Instant::now().into_std(), &mut self.chance.borrow_mut());
        let age = Age::new(&self.settings.age, now, chance);
        Term { habits: self.settings.habits, age, gone: self.gone.clone() }
    }
}

impl fmt::Display for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}
