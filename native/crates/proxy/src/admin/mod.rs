//! What whoever operates a proxy asks it, over HTTP/1.1 on a listener and a thread of its own: a look costs requests nothing,
//! and is answered until the end.
//!
//! `guard` says who may ask; `route` answers paths: `metrics`, `endpoints`, `stats`, `config`, `certificates`, `tap` and `page` each
//! write some of the answers.

mod body;
mod certificates;
mod config;
mod endpoints;
mod guard;
mod metrics;
mod page;
mod policies;
mod route;
mod stats;
mod tap;

use crate::shared::Shared;
use body::Held;
use infermesh_transport::{
    Connections, Rules, Terms, http1,
    listener::Endpoint,
    peer::address::Peer,
    socket::{self, Serve},
    thread::NetworkThread,
};
use infermesh_wire::Error;
use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::io::{AsyncRead, AsyncWrite};

/// Connections at a time.
const MAX_CONNECTIONS: usize = 64;

/// Time for what is under way when the proxy has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What `GET /stats` answers.
pub fn stats(shared: &Shared) -> String {
    stats::of(shared, Instant::now()).to_string()
}

/// What `GET /metrics` answers.
pub fn metrics(shared: &Shared) -> String {
    metrics::expose(shared, Instant::now())
}

pub struct Admin {
    thread: NetworkThread<()>,
    shared: Arc<Shared>,
    /// Not those of the proxy: they are not counted among its own, and outlive them.
    connections: Arc<Connections>,
}

impl Admin {
    /// Fails with INTERNAL if the system refuses the thread.
    pub fn start(shared: &Arc<Shared>) -> Result<Self, Error> {
        let connections = Arc::new(Connections::new(Rules::default(), MAX_CONNECTIONS, shared.log.clone()));
        let speaker = Speaker { shared: shared.clone(), connections: connections.clone() };
        let thread = NetworkThread::named("admin".to_owned(), move || {
            move |accepted| socket::spawn(speaker.connections.clone(), accepted, speaker.clone())
        })?;
        Ok(Self { thread, shared: shared.clone(), connections })
    }

    /// For a listener.
    pub fn endpoint(&self) -> Endpoint<()> {
        Endpoint {
            protocol: (),
            counts: true,
            terms: Terms::Plaintext,
            threads: vec![self.thread.inbox.clone()],
            connections: self.connections.clone(),
        }
    }

    /// Closes everything.
    pub async fn drain(&self) {
        self.shared.tap.close();
        self.shared.picture.close();
        self.connections.drain();
        self.connections.ended(LAST_WORDS).await;
    }

    pub fn stop(self) {
        self.thread.stop();
    }
}

#[derive(Clone)]
struct Speaker {
    shared: Arc<Shared>,
    connections: Arc<Connections>,
}

impl Serve<()> for Speaker {
    async fn serve(self, (): (), peer: Peer, io: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
        http1::serve(&self.connections, &self.connections.rules, io, |request, mark| {
            let (shared, peer) = (&self.shared, &peer);
            async move {
                route::answer(shared, peer, &request.into_parts().0).await.map(|body| Held::new(body, mark))
            }
        })
        .await
        .map(drop)
    }
}
