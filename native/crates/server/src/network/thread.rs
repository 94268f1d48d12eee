//! A network thread: a single-threaded runtime with its connections.

use super::{connection, peer::Peer};
use crate::{
    memory::budget::Purse,
    shared::{Local, Shared},
    tls::Tls,
};
use infermesh_batcher::Mailbox;
use infermesh_wire::Error;
use std::{
    net::TcpStream,
    os::unix::net::UnixStream,
    rc::Rc,
    sync::Arc,
    thread::{self, JoinHandle},
};
use tokio::{
    runtime,
    sync::mpsc,
    task::{LocalSet, spawn_local},
};

/// What is spoken on a listener's connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Grpc,
    /// The v2 protocol in JSON over HTTP/1.1.
    Rest,
    /// Prometheus over HTTP/1.1.
    Metrics,
}

pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection on its way from the listener to the thread that will own it.
pub struct Accepted {
    pub stream: Stream,
    pub protocol: Protocol,
    pub tls: Option<Arc<Tls>>,
    pub peer: Peer,
}

pub struct NetworkThread {
    pub inbox: mpsc::UnboundedSender<Accepted>,
    handle: JoinHandle<()>,
}

impl NetworkThread {
    /// Fails with INTERNAL if the system refuses the thread or its event queue.
    pub fn start(index: usize, shared: Arc<Shared>) -> Result<Self, Error> {
        let failed =
            |error: std::io::Error| Error::internal(format!("cannot start a network thread: {error}"));
        let (inbox, mut arrivals) = mpsc::unbounded_channel::<Accepted>();
        let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let handle = thread::Builder::new()
            .name(format!("network/{index}"))
            .spawn(move || {
                let tasks = LocalSet::new();
                runtime.block_on(tasks.run_until(async {
                    let mailbox = Mailbox::for_this_thread();
                    spawn_local(mailbox.clone().deliver());
                    let purse = Purse::new(shared.budget.clone());
                    while let Some(accepted) = arrivals.recv().await {
                        let regions = shared.shared_memory.regions_of(accepted.peer.is_near).clone();
                        let (shared, mailbox, purse) = (shared.clone(), mailbox.clone(), purse.clone());
                        connection::spawn(Rc::new(Local { shared, mailbox, purse, regions }), accepted);
                    }
                }));
            })
            .map_err(failed)?;
        Ok(Self { inbox, handle })
    }

    /// Ends the thread; connections that are still open are cut.
    pub fn stop(self) {
        drop(self.inbox);
        // A panic was already reported by the thread itself.
        let _ = self.handle.join();
    }
}
