//! A proxy as its owner sees it: threads, listeners, the end.

use crate::{
    admin::{self, Admin},
    connection::serving,
    hooks::{Hook, Hooks},
    observe::{
        access::Access,
        page::{File, Headers, Page, headers},
        picture::Picture,
        trace::Tracing,
    },
    plan::{Listener, Plan},
    proto,
    shared::Shared,
    transcode::signatures::Signatures,
    upstream::{discover, health},
};
use infermesh_policy::replay;
use infermesh_telemetry::{Log, Traces, log::Throttle};
use infermesh_transport::{
    Connections, Rules,
    budget::Budget,
    listener::{self, Endpoint},
    thread::NetworkThread,
    tls::Identity,
};
use infermesh_wire::Error;
use prost::Message;
use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};
use tokio::runtime;

/// One network thread is enough for what most apps ask of a sidecar, and a second keeps it from waiting for a large body.
const MAX_DEFAULT_THREADS: usize = 2;

const MAX_CONNECTIONS: u32 = 10_000;
const MEMORY: u64 = 256 << 20;
/// Failures that are told in a second.
const COMPLAINTS: u32 = 10;

const MESSAGE: u64 = 64 << 20;
const REPLAY: u64 = 64 << 20;
const REPLAY_REQUEST: u64 = 16 << 20;

pub struct Proxy {
    shared: Arc<Shared>,
    threads: Mutex<Vec<NetworkThread<Arc<Listener>>>>,
    admin: Mutex<Option<Admin>>,
    /// Runs the listeners and the end; requests never come here.
    control: runtime::Runtime,
}

impl Proxy {
    /// Starts the network threads for a serialised `ProxyConfig`. Fails with INVALID_ARGUMENT and the field that is wrong, or
    /// with INTERNAL if the system refuses a thread.
    pub fn start(config: &[u8], version: &str) -> Result<Self, Error> {
        let config = proto::ProxyConfig::decode(config)
            .map_err(|error| Error::invalid(format!("the configuration is no ProxyConfig: {error}")))?;
        let started = Instant::now();
        let identity = config.identity.as_ref().map(identity).transpose().map_err(Error::invalid)?;
        let log = Arc::<Log>::default();
        let plan = Plan::new(&config, identity.as_ref(), &log, started).map_err(Error::invalid)?;
        let limits = config.limits.unwrap_or_default();
        let or = |given: u64, default: u64| usize::try_from(if given > 0 { given } else { default });
        let replay = replay::Settings {
            total: or(limits.replay_bytes, REPLAY).unwrap_or(usize::MAX),
            per_request: or(limits.replay_request_bytes, REPLAY_REQUEST).unwrap_or(usize::MAX),
        };
        replay.check().map_err(|why| Error::invalid(format!("limits.replay: {why}")))?;
        let max = or(limits.max_connections.into(), MAX_CONNECTIONS.into()).unwrap_or(usize::MAX);
        let budget = Budget::new(or(limits.memory_bytes, MEMORY).unwrap_or(usize::MAX));
        let count = match config.threads {
            0 => thread::available_parallelism().map_or(1, |cores| cores.get().min(MAX_DEFAULT_THREADS)),
            count => count as usize,
        };
        let traces = Arc::<Traces>::default();
        let shared = Arc::new(Shared {
            name: config.name.clone(),
            version: version.to_owned(),
            started,
            tracing: Tracing::new(config.tracing.as_ref(), traces.clone()),
            config,
            plan,
            identity,
            connections: Arc::new(Connections::new(Rules::default(), max, log.clone())),
            budget: Arc::new(budget),
            replay: replay::Pool::new(replay),
            log,
            access: Access::default(),
            tap: Arc::default(),
            picture: Picture::default(),
            page: OnceLock::new(),
            traces,
            max_message: or(limits.message_bytes, MESSAGE).unwrap_or(usize::MAX),
            signatures: Signatures::default(),
            hooks: Hooks::default(),
            complaints: Throttle::new(COMPLAINTS),
            ready: AtomicBool::new(false),
            drain_requested: AtomicBool::new(false),
        });
        let threads = (0..count).map(|index| {
            let shared = shared.clone();
            NetworkThread::start(index, move || serving(shared))
        });
        let threads = Mutex::new(threads.collect::<Result<_, _>>()?);
        let control = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("listener")
            .enable_all()
            .build()
            .map_err(|error| Error::internal(format!("cannot start the listener's thread: {error}")))?;
        for cluster in &shared.plan.clusters {
            let common = || (shared.log.clone(), shared.connections.clone());
            if let Some(name) = cluster.discovered.clone() {
                let (log, connections) = common();
                control.spawn(discover::follow(cluster.clone(), name, log, connections));
            }
            if let Some(check) = cluster.check() {
                let (log, connections) = common();
                control.spawn(health::follow(cluster.clone(), check, log, connections));
            }
        }
        if let Some(identity) = &shared.identity {
            control.spawn(identity.clone().follow(shared.log.clone(), shared.connections.clone()));
        }
        Ok(Self { shared, threads, admin: Mutex::default(), control })
    }

    /// Replaces the endpoints of a cluster; those that stay keep what is known of them. Fails with what is wrong.
    pub fn set_endpoints(&self, cluster: &str, endpoints: &[String]) -> Result<(), String> {
        let clusters = &self.shared.plan.clusters;
        let found = clusters.iter().find(|known| known.name == cluster);
        let found = found.ok_or_else(|| {
            let known: Vec<_> = clusters.iter().map(|known| &known.name[..]).collect();
            format!("there is no cluster called '{cluster}'; there are: {}", known.join(", "))
        })?;
        let addresses = endpoints.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
        found.set(addresses, Instant::now());
        Ok(())
    }

    /// Binds all listeners and serves. Returns their names and the bound addresses. Fails with the listener's address.
    pub fn listen(&self) -> io::Result<Vec<(String, String)>> {
        let listeners = &self.shared.plan.listeners;
        listeners.iter().map(|listener| Ok((listener.name.clone(), self.listen_on(listener)?))).collect()
    }

    fn listen_on(&self, plan: &Arc<Listener>) -> io::Result<String> {
        let named = |error: io::Error| {
            io::Error::new(error.kind(), format!("cannot listen on {}: {error}", plan.address))
        };
        let (listener, address) = match plan.address.strip_prefix("unix:") {
            Some(path) => (listener::bind_unix(path.as_ref()).map_err(named)?, format!("unix:{path}")),
            None => {
                let (host, port) = plan
                    .address
                    .rsplit_once(':')
                    .and_then(|(host, port)| Some((host, port.parse().ok()?)))
                    .ok_or_else(|| named(io::Error::other("expected HOST:PORT or unix:PATH")))?;
                let host = host.trim_start_matches('[').trim_end_matches(']');
                let (listener, address) = listener::bind_tcp(host, port).map_err(named)?;
                (listener, address.to_string())
            }
        };
        let threads = self.lock_threads().iter().map(|thread| thread.inbox.clone()).collect();
        let connections = self.shared.connections.clone();
        let endpoint = Endpoint {
            protocol: plan.clone(),
            counts: true,
            terms: plan.terms.clone(),
            threads,
            connections,
        };
        self.control.spawn(listener.run(endpoint));
        Ok(address)
    }

    /// Serves those who operate the proxy, over HTTP/1.1 and on a thread of its own. An empty host is loopback: whoever comes
    /// here can end the process. Returns the bound address.
    pub fn listen_admin(&self, host: &str, port: u16) -> io::Result<SocketAddr> {
        let host = if host.is_empty() { "127.0.0.1" } else { host };
        let (listener, address) = listener::bind_tcp(host, port).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot listen on {host}:{port}: {error}"))
        })?;
        let mut admin = self.admin.lock().unwrap_or_else(PoisonError::into_inner);
        let admin = match &mut *admin {
            Some(admin) => admin,
            none => none.insert(Admin::start(&self.shared).map_err(io::Error::other)?),
        };
        self.control.spawn(listener.run(admin.endpoint()));
        Ok(address)
    }

    /// From now on browsers are shown these files at the admin endpoint, and the picture. `files` are a path and the headers of
    /// each, by the path of its URL; `common` are the headers of all. Fails with the header that is none; later calls do nothing.
    pub fn set_page(&self, common: Headers, files: Vec<(String, PathBuf, Headers)>) -> Result<(), String> {
        let files =
            files.into_iter().map(|(url, path, given)| Ok((url, File { path, headers: headers(given)? })));
        let page = Page { headers: headers(common)?, files: files.collect::<Result<_, String>>()? };
        let _ = self.shared.page.set(page);
        Ok(())
    }

    /// Whether the owner should `show_picture` now: once a second, while somebody looks or did so lately.
    pub fn is_picture_wanted(&self) -> bool {
        self.shared.picture.is_wanted(Instant::now())
    }

    /// For all who look at this moment.
    pub fn show_picture(&self, json: Vec<u8>) {
        self.shared.picture.show(json.into(), Instant::now());
    }

    /// What `GET /stats` answers.
    pub fn stats(&self) -> String {
        admin::stats(&self.shared)
    }

    /// What `GET /metrics` answers.
    pub fn metrics(&self) -> String {
        admin::metrics(&self.shared)
    }

    /// Whether somebody has asked at the admin endpoint for the end of this process.
    pub fn drain_requested(&self) -> bool {
        self.shared.drain_requested.load(Relaxed)
    }

    pub fn log(&self) -> &Log {
        &self.shared.log
    }

    pub fn traces(&self) -> &Traces {
        &self.shared.traces
    }

    pub fn set_ready(&self, ready: bool) {
        self.shared.ready.store(ready, Relaxed);
    }

    /// Calls of Python functions that requests wait for; none if none comes within `patience`.
    pub fn take_hooks(&self, patience: Duration) -> Vec<Hook> {
        self.shared.hooks.take(patience)
    }

    /// What was kept of requests and answers, each a serialised `infermesh.capture.v1.Record`; none if none comes within
    /// `patience`. Blocks.
    pub fn take_captures(&self, patience: Duration) -> Vec<Vec<u8>> {
        self.shared.plan.captures.take(patience)
    }

    /// From now on `take_captures` returns at once, with what there is.
    pub fn flush_captures(&self) {
        self.shared.plan.captures.flush();
    }

    /// Refuses new requests, finishes accepted ones, closes everything. False if that took longer than `limit`; what is left
    /// then is cut.
    pub fn drain(&self, limit: Duration) -> bool {
        self.set_ready(false);
        self.shared.connections.drain();
        let finished = self.control.block_on(self.shared.connections.ended(limit));
        self.shared.hooks.close();
        for thread in std::mem::take(&mut *self.lock_threads()) {
            thread.stop();
        }
        // The last to go: whoever watches sees the end.
        if let Some(admin) = self.admin.lock().unwrap_or_else(PoisonError::into_inner).take() {
            self.control.block_on(admin.drain());
            admin.stop();
        }
        finished
    }

    fn lock_threads(&self) -> std::sync::MutexGuard<'_, Vec<NetworkThread<Arc<Listener>>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn identity(given: &proto::Identity) -> Result<Arc<Identity>, String> {
    let domain = (!given.trust_domain.is_empty()).then_some(&given.trust_domain[..]);
    let files = [&given.certificate_file, &given.key_file, &given.authorities_file];
    let [certificate, key, authorities] = files.map(PathBuf::from);
    let loaded = Identity::load(certificate, key, authorities, domain);
    loaded.map(Arc::new).map_err(|why| format!("identity: {why}"))
}
