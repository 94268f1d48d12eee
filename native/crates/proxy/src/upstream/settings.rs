//! How a cluster is to be treated, checked: from the message that Python wrote to what endpoints, pools and policies are made
//! with.

use super::{
    connect::Secure,
    health::{Check, Question},
    http2::Habits,
    pool,
};
use crate::{plan::duration_or, proto};
use http::uri::PathAndQuery;
use infermesh_policy::{age, balancer::peak_ewma, breaker, health, outlier};
use infermesh_transport::tls::{Allowed, Identity, Upstream};
use rustls::pki_types::ServerName;
use std::{sync::Arc, time::Duration};

pub struct Settings {
    /// For people.
    pub name: Arc<str>,
    pub pool: pool::Settings,
    pub tls: Option<Arc<Secure>>,
    pub latency: peak_ewma::Settings,
    pub breaker: Option<breaker::Settings>,
    pub outlier: Option<outlier::Settings>,
    pub check: Option<Check>,
}

impl Settings {
    /// Fails with the field that is wrong.
    pub fn new(given: &proto::Cluster, identity: Option<&Arc<Identity>>) -> Result<Self, String> {
        Ok(Self {
            name: given.name.as_str().into(),
            pool: pool(&given.pool.unwrap_or_default()),
            tls: given.tls.as_ref().map(|given| tls(given, identity)).transpose()?,
            latency: latency(&given.balance.unwrap_or_default())?,
            breaker: given.breaker.as_ref().map(breaker).transpose()?,
            outlier: given.outlier.as_ref().map(outlier).transpose()?,
            check: given.health_check.as_ref().map(|check| health(check, given.protocol())).transpose()?,
        })
    }
}

fn latency(given: &proto::Balance) -> Result<peak_ewma::Settings, String> {
    let default = peak_ewma::Settings::default();
    let settings = peak_ewma::Settings {
        decay: duration_or(given.decay_ns, default.decay),
        default_rtt: duration_or(given.default_rtt_ns, default.default_rtt),
        ..default
    };
    settings.check().map_err(|why| format!("balance.{why}"))?;
    Ok(settings)
}

fn tls(given: &proto::UpstreamTls, identity: Option<&Arc<Identity>>) -> Result<Arc<Secure>, String> {
    let identity = identity.ok_or("tls: it needs an identity, and the configuration has none")?;
    let allowed = Allowed::parse(&given.identities).map_err(|why| format!("tls.identities: {why}"))?;
    let name = match given.server_name.as_str() {
        "" => None,
        name => Some(
            ServerName::try_from(name.to_owned())
                .map_err(|_| format!("tls.server_name: '{name}' is neither a name of DNS nor an address"))?,
        ),
    };
    Ok(Arc::new(Secure { upstream: Upstream::new(identity.clone(), allowed), name }))
}

fn breaker(given: &proto::Breaker) -> Result<breaker::Settings, String> {
    let default = breaker::Settings::default();
    let settings = breaker::Settings {
        consecutive_failures: count_or(given.consecutive_failures, default.consecutive_failures),
        min_success_rate: share_or(given.min_success_rate, default.min_success_rate),
        min_requests: count_or(given.min_requests, default.min_requests),
        backoff_base: duration_or(given.backoff_base_ns, default.backoff_base),
        backoff_max: duration_or(given.backoff_max_ns, default.backoff_max),
        ..default
    };
    settings.check().map_err(|why| format!("breaker.{why}"))?;
    Ok(settings)
}

fn outlier(given: &proto::Outlier) -> Result<outlier::Settings, String> {
    let default = outlier::Settings::default();
    let settings = outlier::Settings {
        consecutive_failures: count_or(given.consecutive_failures, default.consecutive_failures),
        interval: duration_or(given.interval_ns, default.interval),
        base_ejection: duration_or(given.base_ejection_ns, default.base_ejection),
        max_ejection: duration_or(given.max_ejection_ns, default.max_ejection),
        max_ejected: share_or(given.max_ejected, default.max_ejected),
        success_rate_sigma: share_or(given.success_rate_sigma, default.success_rate_sigma),
        ..default
    };
    settings.check().map_err(|why| format!("outlier.{why}"))?;
    Ok(settings)
}

fn health(given: &proto::HealthCheck, protocol: proto::UpstreamProtocol) -> Result<Check, String> {
    let default = health::Settings::default();
    let settings = health::Settings {
        interval: duration_or(given.interval_ns, default.interval),
        timeout: duration_or(given.timeout_ns, default.timeout),
        unhealthy: count_or(given.unhealthy, default.unhealthy),
        healthy: count_or(given.healthy, default.healthy),
    };
    settings.check().map_err(|why| format!("health_check.{why}"))?;
    let question = match &given.path[..] {
        "" => Question::Grpc { service: given.service.clone() },
        path if !path.starts_with('/') || path.parse::<PathAndQuery>().is_err() => {
            return Err(format!("health_check.path: '{path}' is no path; expected one as '/healthz'"));
        }
        _ if !given.service.is_empty() => {
            return Err(
                "health_check.service: gRPC's health service is not asked where there is a path".into()
            );
        }
        path => {
            Question::Http { path: path.to_owned(), over_http2: protocol == proto::UpstreamProtocol::Http2 }
        }
    };
    Ok(Check { settings, question })
}

fn pool(given: &proto::Pool) -> pool::Settings {
    let connections = |default| count_or(given.max_connections, default) as usize;
    pool::Settings {
        connect_timeout: duration_or(given.connect_timeout_ns, Duration::from_secs(1)),
        max_http2: connections(4),
        max_http1: connections(256),
        max_pending: count_or(given.max_pending, 1024) as usize,
        age: age::Settings {
            max_age: Some(duration_or(given.max_age_ns, Duration::from_secs(300))),
            ..age::Settings::default()
        },
        habits: Habits {
            keepalive: duration_or(given.keepalive_ns, Duration::from_secs(10)),
            keepalive_timeout: duration_or(given.keepalive_timeout_ns, Duration::from_secs(5)),
            idle: duration_or(given.idle_timeout_ns, Duration::from_secs(60)),
        },
    }
}

/// 0 is the default.
fn count_or(given: u32, default: u32) -> u32 {
    if given > 0 { given } else { default }
}

/// 0 is the default; what is no share at all is for the check to find.
fn share_or(given: f64, default: f64) -> f64 {
    if given == 0.0 { default } else { given }
}
