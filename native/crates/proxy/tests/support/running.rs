//! A proxy under test: its configuration, where it listens, its end.

use infermesh_proxy::{Proxy, proto};
use prost::Message;
use std::{sync::Arc, thread, time::Duration};
use tokio::{runtime, time::timeout};

/// Nothing in a test takes so long, unless something hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs a test on a runtime of its own, and not for ever.
pub fn run(test: impl Future<Output = ()>) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { timeout(LIMIT, test).await.expect("the test hangs") });
    runtime.shutdown_background();
}

pub fn nanos(duration: Duration) -> u64 {
    duration.as_nanos().try_into().unwrap()
}

/// A cluster of these endpoints.
pub fn cluster(name: &str, endpoints: &[&str]) -> proto::Cluster {
    let endpoints = endpoints.iter().map(ToString::to_string).collect();
    proto::Cluster {
        name: name.into(),
        discovery: Some(proto::cluster::Discovery::Static(proto::Static { endpoints })),
        ..Default::default()
    }
}

/// Everything goes to this cluster.
pub fn route(cluster: &str) -> proto::Route {
    proto::Route {
        name: format!("to-{cluster}"),
        cluster: cluster.into(),
        action: Some(proto::route::Action::Forward(proto::Forward::default())),
        ..Default::default()
    }
}

/// One listener, one route.
pub fn config(route: proto::Route, clusters: Vec<proto::Cluster>) -> proto::ProxyConfig {
    proto::ProxyConfig {
        name: "test".into(),
        listeners: vec![proto::Listener {
            name: "in".into(),
            address: "127.0.0.1:0".into(),
            routes: vec![route],
            ..Default::default()
        }],
        clusters,
        threads: 1,
        ..Default::default()
    }
}

/// Everything goes to these endpoints.
pub fn forward(endpoints: &[&str]) -> proto::ProxyConfig {
    config(route("app"), vec![cluster("app", endpoints)])
}

/// What is wrong with a configuration.
pub fn refused(config: &proto::ProxyConfig) -> String {
    match Proxy::start(&config.encode_to_vec(), "0") {
        Ok(_) => panic!("it is accepted"),
        Err(error) => error.message.into_owned(),
    }
}

/// Cut off when this is dropped.
pub struct Running {
    pub address: String,
    /// Of all listeners, in their order.
    pub addresses: Vec<String>,
    proxy: Option<Arc<Proxy>>,
}

impl Running {
    pub fn start(config: &proto::ProxyConfig) -> Self {
        let proxy =
            Proxy::start(&config.encode_to_vec(), "0").unwrap_or_else(|error| panic!("{}", error.message));
        let addresses: Vec<_> = proxy.listen().unwrap().into_iter().map(|(_, address)| address).collect();
        Self { address: addresses[0].clone(), addresses, proxy: Some(Arc::new(proxy)) }
    }

    pub fn proxy(&self) -> &Arc<Proxy> {
        self.proxy.as_ref().unwrap()
    }

    /// Drains it beside the test; whether that was done within `limit`.
    pub fn drain(&self, limit: Duration) -> thread::JoinHandle<bool> {
        let proxy = self.proxy().clone();
        thread::spawn(move || proxy.drain(limit))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It waits for threads and owns a runtime, neither of which is for a runtime's thread.
        let proxy = self.proxy.take();
        let _ = thread::spawn(move || proxy.map(|proxy| proxy.drain(Duration::ZERO))).join();
    }
}
