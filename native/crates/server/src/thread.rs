//! A network thread: a single-threaded runtime with its connections, and what they share.

use crate::{
    budget::{Budget, Purse},
    cache::Cache,
    complaints::Complaints,
    connection,
    metrics::Machine,
    peer::Peer,
    reflection::Index,
    registry::{Control, Registry},
    rules::Rules,
    settings::LogControl,
    shared_memory::{Regions, SharedMemory},
    tls::Tls,
};
use infermesh_batcher::Mailbox;
use infermesh_telemetry::{Log, Traces};
use infermesh_wire::Error;
use std::{
    net::TcpStream,
    os::unix::net::UnixStream,
    rc::Rc,
    sync::{Arc, OnceLock},
    thread::{self, JoinHandle},
    time::Instant,
};
use tokio::{
    runtime,
    sync::{mpsc, watch},
    task::{LocalSet, spawn_local},
};

/// What every thread of a server sees.
pub struct Shared {
    pub name: String,
    pub version: String,
    /// Of a gRPC message.
    pub max_message_bytes: usize,
    /// Of an HTTP body.
    pub max_input_bytes: usize,
    /// Beyond these, connections for inference are refused.
    pub max_connections: usize,
    pub rules: Rules,
    pub budget: Arc<Budget>,
    pub complaints: Complaints,
    pub registry: Registry,
    pub control: OnceLock<Arc<dyn Control>>,
    pub log_control: OnceLock<Arc<dyn LogControl>>,
    pub reflection: Index,
    pub shared_memory: SharedMemory,
    /// Of the models that want one.
    pub cache: Option<Arc<Cache>>,
    pub log: Arc<Log>,
    pub traces: Traces,
    pub machine: Machine,
    /// True from the moment the server refuses new requests.
    pub draining: watch::Sender<bool>,
    /// Each connection holds a receiver of this; it is closed when the last one is gone.
    pub connections: watch::Sender<()>,
}

impl Shared {
    pub fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Tells the operator about a peer, unless there has been enough of that lately.
    pub fn complain(&self, action: &'static str, said: String, peer: &str) {
        if let Some(withheld) = self.complaints.next(Instant::now()) {
            let fields = [("client.address", peer.into()), ("infermesh.log.withheld", withheld.into())];
            self.log.warning(action, said, fields);
        }
    }
}

/// What a request needs: of the server, of this thread, of its connection. Not shared with other threads.
#[derive(Clone)]
pub struct Local {
    pub shared: Arc<Shared>,
    pub mailbox: Arc<Mailbox>,
    pub purse: Rc<Purse>,
    /// Those that this client may use.
    pub regions: Arc<Regions>,
}

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
                        let regions = shared.shared_memory.regions_of(&accepted.peer).clone();
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
