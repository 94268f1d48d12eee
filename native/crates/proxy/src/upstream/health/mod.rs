//! Asks endpoints whether they are well, again and again, over connections of its own. Whoever is ill is not sent anything.

mod probe;

use super::{cluster::Cluster, endpoint::Endpoint};
use infermesh_policy::{
    Chance,
    health::{Health, Order, Settings, State},
};
use infermesh_telemetry::Log;
use infermesh_transport::Connections;
use probe::Probe;
use std::{collections::HashMap, sync::Arc};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until, timeout_at},
};

/// When a cluster's endpoints are asked, and what.
#[derive(Debug, Clone)]
pub struct Check {
    pub settings: Settings,
    pub question: Question,
}

#[derive(Debug, Clone)]
pub enum Question {
    /// gRPC's health service, about this service; about all of the server if it is empty.
    Grpc { service: String },
    /// A path that has to answer 200.
    Http { path: String, over_http2: bool },
}

/// Attends to a cluster's endpoints, whichever there are, until the process drains.
pub async fn follow(cluster: Arc<Cluster>, check: Check, log: Arc<Log>, connections: Arc<Connections>) {
    let mut changes = cluster.changes();
    let mut tasks = JoinSet::new();
    let mut attended = HashMap::new();
    loop {
        changes.mark_unchanged();
        let endpoints = cluster.endpoints();
        attended.retain(|id, task: &mut tokio::task::AbortHandle| {
            let stays = endpoints.iter().any(|endpoint| endpoint.id == *id);
            if !stays {
                task.abort();
            }
            stays
        });
        for endpoint in endpoints.iter() {
            attended.entry(endpoint.id).or_insert_with(|| {
                let probe = Probe::new(endpoint, cluster.authority.clone(), check.question.clone());
                tasks.spawn(attend(endpoint.clone(), probe, check.settings.clone(), log.clone()))
            });
        }
        while tasks.try_join_next().is_some() {}
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = connections.drained() => return,
        }
    }
}

async fn attend(endpoint: Arc<Endpoint>, mut probe: Probe, settings: Settings, log: Arc<Log>) {
    let mut health = Health::new(settings, Instant::now().into_std());
    let mut chance = Chance::default();
    loop {
        let check = match health.next(Instant::now().into_std(), &mut chance) {
            Order::Begin(check) => check,
            Order::Wait(until) => {
                sleep_until(until.into()).await;
                continue;
            }
        };
        let asked = timeout_at(check.deadline.into(), probe.ask()).await;
        let found = asked.unwrap_or_else(|_| Err("it does not answer in time".to_owned()));
        let before = health.state();
        health.ended(check, found.is_ok());
        match (before, health.state(), found) {
            (State::Unknown | State::Well, State::Ill, Err(why)) => {
                tell(&log, &endpoint, &format!("fails its health checks: {why}"));
                endpoint.set_ill(why);
            }
            (State::Ill, State::Well, _) => {
                tell(&log, &endpoint, "passes its health checks again");
                endpoint.set_well();
            }
            // The latest reason says most.
            (State::Ill, State::Ill, Err(why)) => endpoint.set_ill(why),
            _ => {}
        }
    }
}

fn tell(log: &Log, endpoint: &Endpoint, what: &str) {
    let address = endpoint.address.to_string();
    log.warning("endpoint-health", format!("{address} {what}"), [("server.address", address.into())]);
}
