//! What a proxy does, checked whole: from the message that Python wrote to what requests are held against.

pub mod enrichment;
pub mod matching;
pub mod permission;

use crate::{
    capture::{Captures, Queue},
    infer::{cache::Cache, coalesce},
    limit::Limits,
    observe::metrics::Requests,
    proto,
    request::hedge::Hedges,
    upstream::cluster::Cluster,
};
use enrichment::Enrichments;
use infermesh_policy::{
    budget::{self, Budget},
    hedge::{self, Hedge},
    retry,
};
use infermesh_telemetry::Log;
use infermesh_transport::{
    Rules,
    tls::{Identity, Terms},
};
use matching::Match;
use permission::Permission;
use smallvec::SmallVec;
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long what a model says of itself is taken for true.
const METADATA_TTL: Duration = Duration::from_secs(60);

pub struct Plan {
    pub listeners: Vec<Arc<Listener>>,
    pub clusters: Vec<Arc<Cluster>>,
    /// What routes keep of requests and answers.
    pub captures: Arc<Queue>,
}

pub struct Listener {
    pub name: String,
    pub address: String,
    pub direction: proto::Direction,
    pub terms: Terms,
    /// What its connections are held to.
    pub rules: Rules,
    pub routes: Vec<Arc<Route>>,
    pub permissions: Vec<Permission>,
    /// Of requests that came to no route.
    pub counts: Requests,
}

pub struct Route {
    pub name: String,
    pub matching: Match,
    pub cluster: Arc<Cluster>,
    pub strip_prefix: String,
    /// Whether REST and plain JSON become gRPC.
    pub transcodes: bool,
    pub metadata_ttl: Duration,
    pub coalesce: Option<coalesce::Settings>,
    pub cache: Option<Cache>,
    pub capture: Option<Arc<Captures>>,
    pub on_request: Enrichments,
    pub on_response: Enrichments,
    pub timeout: Option<Duration>,
    pub retry: Option<Retry>,
    pub hedge: Option<Hedges>,
    pub counts: Requests,
    pub limits: Limits,
}

pub struct Retry {
    pub settings: retry::Settings,
    budget: Mutex<Budget>,
}

impl Plan {
    /// Fails with the field that is wrong, as `listeners[0].routes[1].cluster: ...`.
    pub fn new(
        config: &proto::ProxyConfig,
        identity: Option<&Arc<Identity>>,
        log: &Arc<Log>,
        now: Instant,
    ) -> Result<Self, String> {
        let clusters = clusters(&config.clusters, identity, log, now)?;
        let ordered = config.clusters.iter().map(|given| clusters[&given.name[..]].clone()).collect();
        let routes = config.listeners.iter().flat_map(|listener| &listener.routes);
        let captures = Arc::new(Queue::new(routes.filter_map(|route| route.capture.as_ref())));
        let listeners = config.listeners.iter().enumerate().map(|(index, given)| {
            let listener = Listener::new(index, given, &clusters, &captures, identity, now);
            listener.map(Arc::new).map_err(|why| format!("listeners[{index}].{why}"))
        });
        let listeners = listeners.collect::<Result<Vec<_>, _>>()?;
        distinct("listeners", listeners.iter().map(|listener| &listener.name[..]))?;
        Ok(Self { listeners, clusters: ordered, captures })
    }
}

/// By name. Those that are split come last, since they know those that the rest goes to.
fn clusters<'a>(
    given: &'a [proto::Cluster],
    identity: Option<&Arc<Identity>>,
    log: &Arc<Log>,
    now: Instant,
) -> Result<HashMap<&'a str, Arc<Cluster>>, String> {
    let mut names = HashSet::new();
    for (index, given) in given.iter().enumerate() {
        if given.name.is_empty() {
            return Err(format!("clusters[{index}].name: it is empty; a route names it"));
        }
        if !names.insert(&given.name) {
            return Err(format!("clusters[{index}].name: there are two clusters called '{}'", given.name));
        }
    }
    let made = |split: bool, whole: &HashMap<&str, Arc<Cluster>>| {
        let these = given.iter().enumerate().filter(|(_, given)| given.split.is_empty() != split);
        let made = these.map(|(index, given)| {
            let cluster = Cluster::new(given, whole, identity, log, now);
            let cluster = cluster.map_err(|why| format!("clusters[{index}].{why}"))?;
            Ok((&given.name[..], Arc::new(cluster)))
        });
        made.collect::<Result<HashMap<_, _>, String>>()
    };
    let mut whole = made(false, &HashMap::new())?;
    let split = made(true, &whole)?;
    whole.extend(split);
    Ok(whole)
}

impl Listener {
    fn new(
        index: usize,
        given: &proto::Listener,
        clusters: &HashMap<&str, Arc<Cluster>>,
        captures: &Arc<Queue>,
        identity: Option<&Arc<Identity>>,
        now: Instant,
    ) -> Result<Self, String> {
        let identity = || {
            identity.cloned().ok_or("tls: it needs an identity, and the configuration has none".to_owned())
        };
        let terms = match given.tls() {
            proto::ListenerTls::Unspecified => Terms::Plaintext,
            proto::ListenerTls::Mutual => Terms::Mutual(identity()?),
            proto::ListenerTls::Permissive => Terms::Permissive(identity()?),
        };
        let routes = given.routes.iter().enumerate().map(|(index, given)| {
            let within = |why: String| format!("routes[{index}].{why}");
            let mut route = Route::new(index, given, clusters, now).map_err(within)?;
            route.keep(given, captures).map_err(within)?;
            Ok(Arc::new(route))
        });
        let routes = routes.collect::<Result<Vec<_>, String>>()?;
        distinct("routes", routes.iter().map(|route| &route.name[..]))?;
        let permissions = given.permissions.iter().enumerate().map(|(index, given)| {
            Permission::new(given).map_err(|why| format!("permissions[{index}].{why}"))
        });
        Ok(Self {
            name: named(&given.name, index),
            address: given.address.clone(),
            direction: given.direction(),
            terms,
            rules: Rules {
                max_age: duration(given.max_connection_age_ns),
                max_age_grace: duration(given.max_connection_age_grace_ns),
                max_idle: duration(given.idle_timeout_ns),
                ..Rules::default()
            },
            routes,
            permissions: permissions.collect::<Result<_, _>>()?,
            counts: Requests::default(),
        })
    }
}

impl Route {
    fn new(
        index: usize,
        given: &proto::Route,
        clusters: &HashMap<&str, Arc<Cluster>>,
        now: Instant,
    ) -> Result<Self, String> {
        let matching = match &given.r#match {
            Some(matching) => Match::new(matching).map_err(|why| format!("match.{why}"))?,
            None => Match::default(),
        };
        let cluster = cluster(&given.cluster, clusters)?;
        Ok(Self {
            name: named(&given.name, index),
            matching,
            cluster,
            coalesce: given.coalesce.as_ref().map(|given| coalesce::Settings {
                max_rows: given.max_rows as usize,
                max_delay: Duration::from_nanos(given.max_delay_ns),
                models: given.models.clone(),
            }),
            cache: given.cache.as_ref().map(Cache::new),
            capture: None,
            on_request: Enrichments::new(&given.enrichments, false, clusters, now)?,
            on_response: Enrichments::new(&given.enrichments, true, clusters, now)?,
            strip_prefix: match &given.action {
                Some(proto::route::Action::Forward(forward)) => forward.strip_prefix.clone(),
                _ => String::new(),
            },
            transcodes: matches!(&given.action, Some(proto::route::Action::Transcode(_))),
            metadata_ttl: match &given.action {
                Some(proto::route::Action::Transcode(it)) => duration_or(it.metadata_ttl_ns, METADATA_TTL),
                _ => METADATA_TTL,
            },
            timeout: duration(given.timeout_ns),
            hedge: given.hedge.as_ref().map(|given| hedges(given, now)).transpose()?,
            retry: given.retry.as_ref().map(|given| Retry::new(given, now)).transpose()?,
            counts: Requests::default(),
            limits: Limits::new(given, now)?,
        })
    }
}

impl Route {
    /// A sample of what passes is kept, if it says so.
    fn keep(&mut self, given: &proto::Route, queue: &Arc<Queue>) -> Result<(), String> {
        if let Some(given) = &given.capture {
            let captures = Captures::new(&self.name, given, queue);
            let captures = captures.map_err(|error| format!("capture.{}", error.message))?;
            self.capture = Some(Arc::new(captures));
        }
        Ok(())
    }

    /// For calls of the proxy's own: every policy as it is by default.
    fn inner(name: String, cluster: Arc<Cluster>, now: Instant) -> Result<Self, String> {
        let retry = Some(proto::Retry::default());
        let given = proto::Route { name, cluster: cluster.name.clone(), retry, ..Default::default() };
        Self::new(0, &given, &HashMap::from([(&cluster.name.clone()[..], cluster)]), now)
    }
}

fn cluster(name: &str, clusters: &HashMap<&str, Arc<Cluster>>) -> Result<Arc<Cluster>, String> {
    clusters.get(name).cloned().ok_or_else(|| {
        let mut known: Vec<_> = clusters.keys().copied().collect();
        known.sort_unstable();
        format!("cluster: there is no cluster called '{name}'; there are: {}", known.join(", "))
    })
}

impl Retry {
    fn new(given: &proto::Retry, now: Instant) -> Result<Self, String> {
        let within = |why: String| format!("retry.{why}");
        let default = retry::Settings::default();
        let settings = retry::Settings {
            max_attempts: if given.max_attempts > 0 { given.max_attempts } else { default.max_attempts },
            codes: codes(&given.codes, default.codes),
            http_statuses: codes(&given.http_statuses, default.http_statuses),
            per_try_timeout: duration(given.per_try_timeout_ns),
            backoff_base: duration_or(given.backoff_base_ns, default.backoff_base),
            backoff_max: duration_or(given.backoff_max_ns, default.backoff_max),
        };
        settings.check().map_err(within)?;
        let default = budget::Settings::default();
        let budget = budget::Settings {
            ratio: if given.budget_ratio > 0.0 { given.budget_ratio } else { default.ratio },
            reserve: if given.budget_reserve > 0.0 { given.budget_reserve } else { default.reserve },
            ..default
        };
        budget.check().map_err(|why| format!("retry.budget_{why}"))?;
        Ok(Self { settings, budget: Mutex::new(Budget::new(now, &budget)) })
    }

    pub fn budget(&self) -> MutexGuard<'_, Budget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What has no name is called by its place.
fn named(given: &str, index: usize) -> String {
    if given.is_empty() { index.to_string() } else { given.to_owned() }
}

/// Fails for a name that is there twice: metrics could not tell its bearers apart.
fn distinct<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let mut seen = HashSet::new();
    let twice = names.enumerate().find(|(_, name)| !seen.insert(*name));
    match twice {
        Some((index, name)) => Err(format!("{what}[{index}].name: there are two {what} called '{name}'")),
        None => Ok(()),
    }
}

fn hedges(given: &proto::Hedge, now: Instant) -> Result<Hedges, String> {
    let default = hedge::Settings::default();
    let share = |given: f64, default: f64| if given > 0.0 { given } else { default };
    let settings = hedge::Settings {
        delay: duration(given.delay_ns),
        quantile: share(given.quantile, default.quantile),
        budget_ratio: share(given.budget_ratio, default.budget_ratio),
        ..default
    };
    settings.check().map_err(|why| format!("hedge.{why}"))?;
    Ok(Hedges::new(Hedge::new(now, settings)))
}

/// None is the default; what is no code at all is for the check to find.
fn codes(given: &[u32], default: SmallVec<[u16; 4]>) -> SmallVec<[u16; 4]> {
    match given {
        [] => default,
        given => given.iter().map(|code| u16::try_from(*code).unwrap_or(u16::MAX)).collect(),
    }
}

/// 0 is none.
pub fn duration(nanos: u64) -> Option<Duration> {
    (nanos > 0).then(|| Duration::from_nanos(nanos))
}

/// 0 is the default.
pub fn duration_or(nanos: u64, default: Duration) -> Duration {
    duration(nanos).unwrap_or(default)
}
