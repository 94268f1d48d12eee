//! Endpoints by name: looked up again and again.

use super::{address::Address, cluster::Cluster};
use infermesh_telemetry::Log;
use infermesh_transport::Connections;
use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    net::lookup_host,
    time::{sleep, timeout},
};

/// A resolver that does not answer is asked again.
const PATIENCE: Duration = Duration::from_secs(10);

/// After the first lookup that fails; each further one doubles it, up to the interval.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest while nobody can be asked: each request fails then, and in Kubernetes a name stands for nobody until the first
/// Pod is ready.
const LONGEST_WITHOUT: Duration = Duration::from_secs(1);

/// A name and how often it is looked up.
#[derive(Debug, Clone)]
pub struct Name {
    pub host: String,
    pub port: u16,
    pub interval: Duration,
}

/// Keeps a cluster's endpoints at what a name stands for, until the process drains. While a name cannot be looked up, they
/// stay as they were, and it is looked up more often; that is told once.
pub async fn follow(cluster: Arc<Cluster>, name: Name, log: Arc<Log>, connections: Arc<Connections>) {
    let mut told = false;
    let mut pause = FIRST_PAUSE;
    loop {
        let wait = match addresses(&name).await {
            Ok(addresses) => {
                told = false;
                pause = FIRST_PAUSE;
                cluster.trouble(None);
                cluster.set(addresses, Instant::now());
                name.interval
            }
            Err(error) => {
                let why = format!("{} cannot be looked up: {error}", name.host);
                if !told {
                    let said = format!("{why}; the endpoints of service '{}' stay as they are", cluster.name);
                    log.warning(
                        "name-lookup-failed",
                        said,
                        [("dns.question.name", name.host.clone().into())],
                    );
                }
                told = true;
                cluster.trouble(Some(why));
                let longest = if cluster.endpoints().is_empty() { LONGEST_WITHOUT } else { name.interval };
                let wait = pause.min(longest).min(name.interval);
                pause = wait * 2;
                wait
            }
        };
        tokio::select! {
            () = sleep(wait) => {}
            () = connections.drained() => return,
        }
    }
}

/// In one order, whatever the resolver's.
async fn addresses(name: &Name) -> io::Result<Vec<Address>> {
    let found = timeout(PATIENCE, lookup_host((&name.host[..], name.port))).await??;
    let mut found: Vec<_> = found.collect();
    found.sort_unstable();
    found.dedup();
    if found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Ok(found.into_iter().map(Address::from).collect())
}
