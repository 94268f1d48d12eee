//! What the threads of a server share, and what each of them has for its requests.

use crate::{
    control::settings::LogControl,
    grpc::reflection::Index,
    inference::cache::Cache,
    memory::{
        budget::{Budget, Purse},
        shared_memory::{Regions, SharedMemory},
    },
    models::registry::{Control, Registry},
    observe::metrics::Machine,
    peer::{complaints::Complaints, rules::Rules},
};
use infermesh_batcher::Mailbox;
use infermesh_telemetry::{Log, Traces};
use infermesh_wire::{Code, Error};
use std::{
    rc::Rc,
    sync::{Arc, OnceLock},
    time::Instant,
};
use tokio::sync::watch;

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

/// What is said to requests that come too late; `edge` is GRPC or HTTP.
pub fn shutting_down(edge: &str) -> Error {
    let message = format!("{edge} server is shutting down and has stopped accepting new requests.");
    Error::new(Code::Unavailable, message)
}
