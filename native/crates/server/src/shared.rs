//! What the threads of a server share, and what each of them has for its requests.

use crate::{
    control::settings::LogControl,
    grpc::reflection::Index,
    inference::cache::Cache,
    memory::shared_memory::{Regions, SharedMemory},
    models::registry::{Control, Registry},
    observe::metrics::Machine,
};
use infermesh_batcher::Mailbox;
use infermesh_telemetry::{Log, Traces};
use infermesh_transport::{
    Connections,
    budget::{Budget, Purse},
};
use infermesh_wire::{Code, Error};
use std::{
    rc::Rc,
    sync::{Arc, OnceLock},
};

/// What every thread of a server sees.
pub struct Shared {
    pub name: String,
    pub version: String,
    /// Of a gRPC message.
    pub max_message_bytes: usize,
    /// Of an HTTP body.
    pub max_input_bytes: usize,
    pub connections: Arc<Connections>,
    pub budget: Arc<Budget>,
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
}

impl Shared {
    pub fn is_draining(&self) -> bool {
        self.connections.is_draining()
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
