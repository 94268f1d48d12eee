//! A `LoadPlan`, checked whole before anything starts.

use crate::{proto, tls};
use bytes::Bytes;
use infermesh_wire::DataType;
use prost::Message;
use rustls::{ClientConfig, pki_types::ServerName};
use std::{ops::Range, path::PathBuf, sync::Arc};

/// Bodies of all workloads together.
const MAX_PAYLOADS: usize = 1 << 24;
const MAX_THREADS: u32 = 1024;
pub const MAX_CONNECTIONS: u32 = 16_384;
pub const MAX_OUTSTANDING: u32 = 1 << 20;
/// What says where a request ends or where it goes: a second one would contradict the generator's.
const SET_HERE: [&str; 7] =
    ["connection", "content-length", "content-type", "host", "te", "transfer-encoding", "upgrade"];
/// Requests under way in an open loop whose plan does not say.
const OUTSTANDING: u32 = 1024;

/// What is longer than thirty years, in nanoseconds, is cut here: sums of such times still fit.
pub const FOR_EVER: u64 = 1_000_000_000_000_000_000;

#[derive(Debug)]
pub struct Plan {
    pub endpoint: Endpoint,
    pub workloads: Vec<Workload>,
    pub arrivals: Arrivals,
    pub threads: usize,
    pub connections: usize,
    /// Nanoseconds.
    pub timeout: Option<u64>,
    pub request_count: Option<u64>,
    pub seed: u64,
    pub slowest: usize,
    pub max_records: usize,
    pub trace_share: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Grpc,
    GrpcStream,
    Http,
}

#[derive(Debug)]
pub struct Endpoint {
    pub address: Address,
    pub protocol: Protocol,
    pub authority: String,
    pub tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Address {
    Tcp(String, u16),
    Unix(PathBuf),
}

#[derive(Debug)]
pub enum Arrivals {
    Closed { concurrency: usize },
    Open { schedule: OpenSchedule, max_outstanding: usize },
}

#[derive(Debug, Clone)]
pub enum OpenSchedule {
    /// Per second.
    Constant(f64),
    Poisson(f64),
    Replay(Arc<[u64]>),
}

#[derive(Debug)]
pub struct Workload {
    pub name: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    /// The position of the first workload with the same path and headers: they share header blocks and streams.
    pub route: usize,
    pub weight: f64,
    pub payloads: Vec<Payload>,
    /// Ranges of payloads that sequences play.
    pub scripts: Vec<Range<usize>>,
    pub sequences: Option<proto::Sequences>,
    pub decoupled: bool,
    pub tolerance: proto::Tolerance,
}

#[derive(Debug)]
pub struct Payload {
    pub body: Bytes,
    pub json_length: usize,
    pub insert_at: usize,
    pub expected: Vec<proto::ExpectedTensor>,
}

impl Plan {
    /// What thread `index` has of so many things that all threads share.
    pub fn part(&self, total: usize, index: usize) -> usize {
        (total + self.threads - 1 - index) / self.threads
    }

    /// A serialised `LoadPlan`. Fails with a sentence that says what is wrong.
    pub fn decode(data: &[u8]) -> Result<Self, String> {
        Self::check(proto::LoadPlan::decode(data).map_err(|error| format!("not a LoadPlan: {error}"))?)
    }

    pub fn check(plan: proto::LoadPlan) -> Result<Self, String> {
        let endpoint = Endpoint::check(plan.target.ok_or("the plan names no target")?)?;
        if plan.workloads.is_empty() {
            return Err("the plan has no workload".into());
        }
        let mut workloads = plan
            .workloads
            .into_iter()
            .map(|workload| Workload::check(workload, endpoint.protocol))
            .collect::<Result<Vec<_>, _>>()?;
        if !workloads.iter().map(|workload| workload.weight).sum::<f64>().is_finite() {
            return Err("the weights of the workloads are too large".into());
        }
        for position in 0..workloads.len() {
            let like = |other: &Workload| {
                (&other.path, &other.headers) == (&workloads[position].path, &workloads[position].headers)
            };
            workloads[position].route = workloads.iter().position(like).unwrap_or(position);
        }
        let payloads: usize = workloads.iter().map(|workload| workload.payloads.len()).sum();
        if payloads > MAX_PAYLOADS {
            return Err(format!("{payloads} payloads are more than {MAX_PAYLOADS}"));
        }
        let arrivals = Arrivals::check(plan.arrivals, plan.max_outstanding)?;
        let most = arrivals.most();
        // No thread without a request or, where their number is limited, a sequence of its own.
        let ids = workloads.iter().filter_map(|workload| workload.sequences.as_ref()?.ids.try_into().ok());
        let fewest = ids.filter(|ids| *ids > 0).fold(most, usize::min);
        let threads = bounded("threads", plan.threads, MAX_THREADS)?.clamp(1, fewest);
        let connections = bounded("connections", plan.connections, MAX_CONNECTIONS)?.max(threads);
        if !(0.0..=1.0).contains(&plan.trace_share) {
            return Err(format!("a trace share of {} is none, expected 0 to 1", plan.trace_share));
        }
        Ok(Self {
            endpoint,
            workloads,
            arrivals,
            threads,
            connections,
            timeout: (plan.timeout_ns > 0).then_some(plan.timeout_ns.min(FOR_EVER)),
            request_count: (plan.request_count > 0).then_some(plan.request_count),
            seed: plan.seed,
            slowest: plan.slowest.min(1 << 16) as usize,
            max_records: plan.max_records as usize,
            trace_share: plan.trace_share,
        })
    }
}

impl Endpoint {
    fn check(target: proto::Target) -> Result<Self, String> {
        let protocol = match target.protocol() {
            proto::Protocol::Grpc => Protocol::Grpc,
            proto::Protocol::GrpcStream => Protocol::GrpcStream,
            proto::Protocol::Http => Protocol::Http,
            proto::Protocol::Unspecified => return Err("the plan's target names no protocol".into()),
        };
        let address = Address::parse(&target.address)?;
        let host = match &address {
            Address::Tcp(host, _) => host.clone(),
            Address::Unix(_) => "localhost".to_owned(),
        };
        let authority = match (&target.authority, &address) {
            (given, _) if !given.is_empty() => given.clone(),
            (_, Address::Tcp(..)) => target.address.clone(),
            (_, Address::Unix(_)) => host.clone(),
        };
        if authority.bytes().any(|byte| !byte.is_ascii_graphic()) {
            return Err(format!("the authority {authority:?} cannot be sent"));
        }
        let alpn: &[u8] = if protocol == Protocol::Http { b"http/1.1" } else { b"h2" };
        let tls = target.tls.map(|settings| tls::configure(&settings, &host, alpn)).transpose()?;
        Ok(Self { address, protocol, authority, tls })
    }
}

impl Address {
    fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Self::Unix(path.into()));
        }
        let found = text.rsplit_once(':').and_then(|(host, port)| {
            let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
            Some((host.to_owned(), port.parse().ok().filter(|&port| port > 0)?))
        });
        match found {
            Some((host, port)) if !host.is_empty() => Ok(Self::Tcp(host, port)),
            _ => Err(format!("{text:?} is no address, expected HOST:PORT or unix:PATH")),
        }
    }
}

impl Arrivals {
    fn check(arrivals: Option<proto::load_plan::Arrivals>, max_outstanding: u32) -> Result<Self, String> {
        use proto::{
            load_plan::Arrivals::{Closed, Open},
            open_loop::Schedule,
        };
        match arrivals.ok_or("the plan does not say when to send")? {
            Closed(closed) => {
                let concurrency = bounded("concurrency", closed.concurrency, MAX_OUTSTANDING)?;
                if concurrency == 0 {
                    return Err("a concurrency of 0 sends nothing".into());
                }
                Ok(Self::Closed { concurrency })
            }
            Open(open) => {
                let rate = |rate: f64| {
                    let good = rate.is_finite() && (1e-3..=1e9).contains(&rate);
                    good.then_some(rate).ok_or_else(|| format!("{rate} requests per second are no rate"))
                };
                let schedule = match open.schedule.ok_or("the plan does not say how often to send")? {
                    Schedule::Constant(value) => OpenSchedule::Constant(rate(value)?),
                    Schedule::Poisson(value) => OpenSchedule::Poisson(rate(value)?),
                    Schedule::Replay(replay) => {
                        let count = replay.gap_ns.len() as u64;
                        let sum = replay.gap_ns.iter().try_fold(0u64, |sum, gap| sum.checked_add(*gap));
                        if count == 0 || sum.is_none_or(|sum| sum < count) {
                            return Err(
                                "recorded intervals: expected some, of 1 ns at least in the mean".into()
                            );
                        }
                        OpenSchedule::Replay(replay.gap_ns.into())
                    }
                };
                let most = if max_outstanding == 0 { OUTSTANDING } else { max_outstanding };
                let max_outstanding = bounded("requests under way", most, MAX_OUTSTANDING)?;
                Ok(Self::Open { schedule, max_outstanding })
            }
        }
    }

    /// Requests that may be under way at once.
    pub fn most(&self) -> usize {
        match self {
            Self::Closed { concurrency } => *concurrency,
            Self::Open { max_outstanding, .. } => *max_outstanding,
        }
    }
}

impl Workload {
    fn check(workload: proto::Workload, protocol: Protocol) -> Result<Self, String> {
        let name = workload.name;
        let wrong = |what: &str| Err(format!("workload {name:?}: {what}"));
        if !(workload.weight.is_finite() && workload.weight > 0.0) {
            return wrong("its weight must be above zero");
        }
        if !workload.path.starts_with('/') || workload.path.bytes().any(|byte| !byte.is_ascii_graphic()) {
            return wrong(&format!("{:?} is no path", workload.path));
        }
        for header in &workload.headers {
            let named = !header.name.is_empty()
                && header
                    .name
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() && !b":\"(),/;<=>?@[\\]{}".contains(&byte))
                && header.name == header.name.to_ascii_lowercase();
            if SET_HERE.contains(&header.name.as_str()) {
                return wrong(&format!("the header {:?} is set by the generator itself", header.name));
            }
            if !named || header.value.bytes().any(|byte| (byte < b' ' && byte != b'\t') || byte == 0x7f) {
                return wrong(&format!("the header {:?} cannot be sent", header.name));
            }
        }
        let (mut payloads, mut scripts) = (Vec::new(), Vec::new());
        for script in workload.scripts {
            let start = payloads.len();
            for payload in script.payloads {
                let (json_length, insert_at) = (payload.json_length as usize, payload.insert_at as usize);
                let json = if json_length == 0 { payload.body.len() } else { json_length };
                if json > payload.body.len() || insert_at > json {
                    return wrong("lengths within a payload exceed it");
                }
                if let Some(tensor) =
                    payload.expected.iter().find(|tensor| DataType::from_name(&tensor.datatype).is_none())
                {
                    return wrong(&format!("{:?} is no type of an expected output", tensor.datatype));
                }
                payloads.push(Payload {
                    body: payload.body,
                    json_length,
                    insert_at,
                    expected: payload.expected,
                });
            }
            if payloads.len() == start {
                return wrong("a script has no payload");
            }
            scripts.push(start..payloads.len());
        }
        if payloads.is_empty() {
            return wrong("it has no payload");
        }
        let largest = payloads.iter().map(|payload| payload.body.len()).max().unwrap_or(0);
        if largest > i32::MAX as usize {
            return wrong("a payload is larger than 2 GiB");
        }
        if workload.decoupled && protocol != Protocol::GrpcStream {
            return wrong("answers of a decoupled model come on streams only");
        }
        if let Some(sequences) = &workload.sequences {
            if sequences.length == 0 && sequences.variation > 0.0
                || !(0.0..=1.0).contains(&sequences.variation)
            {
                return wrong("lengths of sequences vary by 0 to 1 of a mean");
            }
            if sequences.first_id.checked_add(sequences.ids).is_none_or(|last| last > i64::MAX as u64) {
                return wrong("ids of sequences exceed what the protocol can say");
            }
            let marked = payloads.iter().all(|payload| payload.insert_at > 0);
            if protocol == Protocol::Http && !marked {
                return wrong("its payloads have no place for the parameters of a sequence");
            }
        }
        let headers = workload.headers.into_iter().map(|header| (header.name, header.value)).collect();
        Ok(Self {
            name,
            path: workload.path,
            headers,
            route: 0,
            weight: workload.weight,
            payloads,
            scripts,
            sequences: workload.sequences,
            decoupled: workload.decoupled,
            tolerance: workload.tolerance.unwrap_or_default(),
        })
    }
}

fn bounded(what: &str, value: u32, limit: u32) -> Result<usize, String> {
    if value > limit {
        return Err(format!("{value} {what} are more than {limit}"));
    }
    Ok(value as usize)
}
