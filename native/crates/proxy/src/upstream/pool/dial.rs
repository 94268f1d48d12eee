//! New connections to an endpoint.

use super::{
    super::{
        address::Address,
        connect::{Limit, Secure, Socket, connect},
        http1, http2,
    },
    Settings,
};
use crate::observe::metrics::Attempts;
use infermesh_policy::{Chance, age::Age};
use infermesh_transport::tls::{HTTP1, HTTP2};
use std::{cell::RefCell, fmt, rc::Rc, sync::Arc};
use tokio::{sync::Notify, time::Instant};

pub struct Dial {
    pub address: Address,
    pub settings: Settings,
    tls: Option<Arc<Secure>>,
    pub counts: Arc<Attempts>,
    chance: RefCell<Chance>,
}

impl Dial {
    pub fn new(
        address: Address,
        tls: Option<Arc<Secure>>,
        settings: Settings,
        counts: Arc<Attempts>,
    ) -> Self {
        Self { address, settings, tls, counts, chance: RefCell::default() }
    }

    pub async fn http2(&self, news: Rc<Notify>) -> Result<Rc<http2::Connection>, String> {
        let (limit, habits) = (Limit::from_now(self.settings.connect_timeout), self.settings.habits);
        let (age, counted) = (self.age(), self.counts.connection());
        let opened = match self.connect(HTTP2, limit).await? {
            Socket::Tcp(io) => http2::Connection::open(io, habits, age, limit, news, counted).await,
            Socket::Tls(io) => http2::Connection::open(io, habits, age, limit, news, counted).await,
            Socket::Unix(io) => http2::Connection::open(io, habits, age, limit, news, counted).await,
        };
        opened.map_err(|why| format!("{self}: {why}"))
    }

    /// `place` is held until the connection has ended.
    pub async fn http1(&self, place: impl Sized + 'static) -> Result<http1::Connection, String> {
        let (limit, habits) = (Limit::from_now(self.settings.connect_timeout), self.settings.habits);
        let place = (place, self.counts.connection());
        match self.connect(HTTP1, limit).await? {
            Socket::Tcp(io) => http1::Connection::open(io, habits, self.age(), place).await,
            Socket::Tls(io) => http1::Connection::open(io, habits, self.age(), place).await,
            Socket::Unix(io) => http1::Connection::open(io, habits, self.age(), place).await,
        }
    }

    async fn connect(&self, protocol: &'static [u8], limit: Limit) -> Result<Socket, String> {
        connect(&self.address, self.tls.as_deref(), protocol, limit).await
    }

    fn age(&self) -> Age {
        Age::new(&self.settings.age, Instant::now().into_std(), &mut self.chance.borrow_mut())
    }
}

impl fmt::Display for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}
