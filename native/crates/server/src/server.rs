//! A server as its owner sees it: threads, listeners, models, the end.

use crate::{
    breakdown::{Breakdown, on_fatal},
    connection::{Protocol, serving},
    control::settings::LogControl,
    grpc::reflection::Index,
    inference::cache::Cache,
    memory::shared_memory::{Access, SharedMemory},
    models::{
        Version,
        registry::{Control, Registry},
    },
    observe::{faults, metrics::Machine},
    shared::Shared,
};
use infermesh_batcher::{Backend, Scheduler};
use infermesh_telemetry::{Log, Traces};
use infermesh_transport::{
    Connections, Rules, Terms, Tls,
    budget::Budget,
    listener::{self, Endpoint, Listener},
    thread::NetworkThread,
};
use infermesh_wire::{Error, proto::inference::ModelConfig};
use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};
use tokio::runtime;

#[derive(Debug, Clone)]
pub struct Settings {
    pub name: String,
    pub version: String,
    /// 0: one per core.
    pub io_threads: usize,
    /// Larger gRPC messages and HTTP bodies are refused with RESOURCE_EXHAUSTED.
    pub max_message_bytes: usize,
    pub max_input_bytes: usize,
    /// Connections for inference beyond these are closed at once.
    pub max_connections: usize,
    /// Memory for requests under way and their answers: what comes beyond 95 % is refused with RESOURCE_EXHAUSTED.
    pub memory_budget_bytes: usize,
    /// Of gRPC connections.
    pub rules: Rules,
    pub client_memory: Access,
    /// Memory for answers that are given again; 0: none is.
    pub response_cache_bytes: usize,
}

pub struct Server {
    shared: Arc<Shared>,
    threads: Mutex<Vec<NetworkThread<Protocol>>>,
    /// Runs the listeners and the end; requests never come here.
    control: runtime::Runtime,
    breakdowns: Sender<Breakdown>,
    untold: Mutex<Option<Receiver<Breakdown>>>,
}

impl Server {
    /// Starts the network threads. Fails with INTERNAL if the system refuses one.
    pub fn start(settings: Settings) -> Result<Self, Error> {
        let log = Arc::<Log>::default();
        let connections = Connections::new(settings.rules, settings.max_connections, log.clone());
        let shared = Arc::new(Shared {
            name: settings.name,
            version: settings.version,
            max_message_bytes: settings.max_message_bytes,
            max_input_bytes: settings.max_input_bytes,
            connections: Arc::new(connections),
            budget: Arc::new(Budget::new(settings.memory_budget_bytes)),
            registry: Registry::default(),
            control: OnceLock::new(),
            log_control: OnceLock::new(),
            reflection: Index::new()?,
            shared_memory: SharedMemory::new(settings.client_memory, settings.max_message_bytes),
            cache: match settings.response_cache_bytes {
                0 => None,
                limit => Some(Arc::new(Cache::new(limit))),
            },
            log,
            traces: Traces::default(),
            machine: Machine::default(),
        });
        let count = match settings.io_threads {
            0 => thread::available_parallelism().map_or(1, |cores| cores.get()),
            count => count,
        };
        let threads = (0..count)
            .map(|index| {
                let shared = shared.clone();
                NetworkThread::start(index, move || serving(shared))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let control = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("listener")
            .enable_all()
            .build()
            .map_err(|error| Error::internal(format!("cannot start the listener's thread: {error}")))?;
        let (breakdowns, untold) = channel();
        let (threads, untold) = (Mutex::new(threads), Mutex::new(Some(untold)));
        Ok(Self { shared, threads, control, breakdowns, untold })
    }

    /// Binds and serves gRPC. Returns the bound address.
    pub fn listen_tcp(&self, host: &str, port: u16, tls: Option<Arc<Tls>>) -> io::Result<SocketAddr> {
        self.listen(host, port, Protocol::Grpc, tls)
    }

    /// Binds and serves gRPC on a unix socket.
    pub fn listen_unix(&self, path: &Path) -> io::Result<()> {
        self.accept(listener::bind_unix(path)?, Protocol::Grpc, Terms::Plaintext);
        Ok(())
    }

    /// Binds and serves the v2 protocol over HTTP. Returns the bound address.
    pub fn listen_http(&self, host: &str, port: u16, tls: Option<Arc<Tls>>) -> io::Result<SocketAddr> {
        self.listen(host, port, Protocol::Rest, tls)
    }

    /// Binds and serves `/metrics`. Returns the bound address.
    pub fn listen_metrics(&self, host: &str, port: u16, tls: Option<Arc<Tls>>) -> io::Result<SocketAddr> {
        self.listen(host, port, Protocol::Metrics, tls)
    }

    fn listen(
        &self,
        host: &str,
        port: u16,
        protocol: Protocol,
        tls: Option<Arc<Tls>>,
    ) -> io::Result<SocketAddr> {
        let (listener, address) = listener::bind_tcp(host, port)?;
        if let Some(tls) = &tls {
            let follow = tls.clone().follow(self.shared.log.clone(), self.shared.connections.clone());
            self.control.spawn(follow);
        }
        self.accept(listener, protocol, tls.map(Terms::Tls).unwrap_or_default());
        Ok(address)
    }

    fn accept(&self, listener: Listener, protocol: Protocol, terms: Terms) {
        let threads = self.lock_threads().iter().map(|thread| thread.inbox.clone()).collect();
        let (counts, connections) = (protocol != Protocol::Metrics, self.shared.connections.clone());
        self.control.spawn(listener.run(Endpoint { protocol, counts, terms, threads, connections }));
    }

    pub fn registry(&self) -> &Registry {
        &self.shared.registry
    }

    pub fn log(&self) -> &Log {
        &self.shared.log
    }

    pub fn traces(&self) -> &Traces {
        &self.shared.traces
    }

    /// Puts a loaded model behind a scheduler and makes it ready; see `Version::start`. `classes` names those of outputs.
    pub fn load(
        &self,
        number: i64,
        config: ModelConfig,
        backends: Vec<Box<dyn Backend>>,
        directory: &Path,
        classes: HashMap<String, Vec<String>>,
    ) -> Result<(), Error> {
        let shared = Arc::downgrade(&self.shared);
        let on_fatal = on_fatal(shared, self.breakdowns.clone(), config.name.clone(), number);
        let version = Version::start(number, config, backends, directory, on_fatal)?;
        for complaint in version.scheduler().into_iter().flat_map(Scheduler::complaints) {
            let fields = [
                ("infermesh.model.name", version.name.clone().into()),
                ("infermesh.model.version", version.number.into()),
            ];
            let said = format!("{} version {}: {complaint}", version.name, version.number);
            self.shared.log.warning("model-warm-up-failed", said, fields);
        }
        faults::watch(&version, self.shared.log.clone());
        self.shared.registry.insert(version.with_classes(classes));
        Ok(())
    }

    /// Makes an ensemble of models that are ready ready itself; see `Version::compose`.
    pub fn compose(
        &self,
        number: i64,
        config: ModelConfig,
        classes: HashMap<String, Vec<String>>,
    ) -> Result<(), Error> {
        let version = Version::compose(number, config, self.registry())?;
        self.shared.registry.insert(version.with_classes(classes));
        Ok(())
    }

    /// Versions that fail for good, as they do. For one caller; `None` for any other.
    pub fn breakdowns(&self) -> Option<Receiver<Breakdown>> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Lets clients load and unload models through the repository extension. Later calls are ignored.
    pub fn allow_control(&self, control: Arc<dyn Control>) {
        let _ = self.shared.control.set(control);
    }

    /// Lets clients read and change log settings. Later calls are ignored.
    pub fn allow_log_control(&self, control: Arc<dyn LogControl>) {
        let _ = self.shared.log_control.set(control);
    }

    /// Refuses new requests, finishes accepted ones, closes everything. False if that took longer than `limit`; what
    /// is left then is cut.
    pub fn drain(&self, limit: Duration) -> bool {
        self.shared.registry.set_ready(false);
        self.shared.connections.drain();
        self.shared.registry.wind_down();
        let finished = self.control.block_on(self.shared.connections.ended(limit));
        for thread in std::mem::take(&mut *self.lock_threads()) {
            thread.stop();
        }
        match finished {
            true => self.shared.registry.clear(),
            false => self.shared.registry.abandon(),
        }
        finished
    }

    fn lock_threads(&self) -> std::sync::MutexGuard<'_, Vec<NetworkThread<Protocol>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
