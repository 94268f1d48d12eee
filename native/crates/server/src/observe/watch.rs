//! What is told about one inference: its spans, its record in the log. Nothing, at the cost of one look, unless
//! somebody asked for either.

use crate::{
    models::Version,
    shared::{Local, Shared},
};
use http::{HeaderMap, StatusCode};
use infermesh_batcher::{Timing, TraceIds, stats::Phases};
use infermesh_telemetry::{
    Parent, Span, Traces, Value,
    context::{span_id, trace_id},
    span::Kind,
};
use infermesh_wire::{Code, Error};
use std::{borrow::Cow, sync::Arc, time::Instant};

/// Where a request came in.
#[derive(Debug, Clone)]
pub enum Edge {
    Grpc {
        service: &'static str,
        method: &'static str,
    },
    Rest {
        path: String,
        /// The path with placeholders for what is a name in it.
        route: &'static str,
        /// What an error is answered with there.
        status: fn(&Error) -> StatusCode,
    },
}

/// When a request came in, where, and as part of what.
#[derive(Debug, Clone)]
pub struct Origin {
    received: Instant,
    parent: Option<Parent>,
    edge: Edge,
}

impl Origin {
    /// `None` where nobody wants to know. Apart, as a task holds it and most have none.
    pub fn of(local: &Local, headers: &HeaderMap, edge: impl FnOnce() -> Edge) -> Option<Box<Self>> {
        let shared = &local.shared;
        if !shared.traces.rules.is_on() && !shared.log.accesses() {
            return None;
        }
        let parent = headers.get("traceparent").and_then(|value| {
            let state = headers.get_all("tracestate").into_iter().filter_map(|value| value.to_str().ok());
            Parent::parse(value.as_bytes(), state)
        });
        Some(Box::new(Self { received: Instant::now(), parent, edge: edge() }))
    }

    /// The same for the next request of a stream.
    pub fn next(&self) -> Self {
        Self { received: Instant::now(), ..self.clone() }
    }
}

/// What an inference that succeeded says about itself.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    pub version: i64,
    /// The request's, empty without one.
    pub id: &'a str,
    pub enqueued: Instant,
    /// `None` where it had no single execution.
    pub timing: Option<Timing>,
}

/// An inference under way. Dropped before its `end`, it was given up.
#[derive(Default)]
pub struct Watch(Option<Box<Watched>>);

struct Watched {
    shared: Arc<Shared>,
    origin: Box<Origin>,
    model: String,
    deadline: Option<Instant>,
    ids: Option<TraceIds>,
    over: bool,
}

impl Watch {
    pub fn begin(local: &Local, origin: Option<Box<Origin>>, model: &str, deadline: Option<Instant>) -> Self {
        let Some(origin) = origin else { return Self(None) };
        let shared = &local.shared;
        let parent = origin.parent.as_ref();
        let ids = shared.traces.rules.take(model, parent).then(|| TraceIds {
            trace: parent.map_or_else(trace_id, |parent| parent.trace),
            span: span_id(),
        });
        if ids.is_none() && !shared.log.accesses() {
            return Self(None);
        }
        let (shared, model) = (shared.clone(), model.to_owned());
        Self(Some(Box::new(Watched { shared, origin, model, deadline, ids, over: false })))
    }

    /// Where the request is traced, if it is.
    pub fn trace(&self) -> Option<TraceIds> {
        self.0.as_ref()?.ids
    }

    pub fn end(self, outcome: Result<Told<'_>, &Error>) {
        if let Some(mut watched) = self.0 {
            watched.tell(outcome);
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.over {
            let late = self.deadline.is_some_and(|deadline| deadline <= Instant::now());
            let given_up = || Error::new(Code::Cancelled, "the client gave the request up");
            self.tell(Err(&if late { Error::deadline_exceeded() } else { given_up() }));
        }
    }
}

impl Watched {
    fn tell(&mut self, outcome: Result<Told<'_>, &Error>) {
        self.over = true;
        let end = Instant::now();
        if self.shared.log.accesses() {
            self.log(outcome, end);
        }
        if let Some(ids) = self.ids {
            self.shared.traces.post(self.spans(ids, outcome, end));
        }
    }

    fn spans(&self, ids: TraceIds, outcome: Result<Told<'_>, &Error>, end: Instant) -> Vec<Span> {
        let parent = self.origin.parent.as_ref();
        let server = Span {
            trace: ids.trace,
            id: ids.span,
            parent: parent.map_or(0, |parent| parent.span),
            remote: parent.is_some(),
            state: parent.map_or_else(String::new, |parent| parent.state.clone()),
            name: self.name(),
            kind: Kind::Server,
            start: self.origin.received,
            end,
            attributes: self.attributes(outcome),
            events: Vec::new(),
            error: outcome.err().filter(|error| is_fault(error.code)).map(|error| error.message.to_string()),
        };
        let Ok(Told { enqueued, timing: Some(timing), .. }) = outcome else { return vec![server] };
        let [queue, compute] = model_spans(&server, enqueued, timing);
        vec![server, queue, compute]
    }

    fn name(&self) -> Cow<'static, str> {
        match &self.origin.edge {
            Edge::Grpc { service, method } => format!("{service}/{method}").into(),
            Edge::Rest { route, .. } => format!("POST {route}").into(),
        }
    }

    /// By OpenTelemetry's semantic conventions where they have a name for it.
    fn attributes(&self, outcome: Result<Told<'_>, &Error>) -> Vec<(&'static str, Value)> {
        let code = outcome.err().map(|error| error.code);
        let mut attributes = match &self.origin.edge {
            Edge::Grpc { service, method } => vec![
                ("rpc.system", "grpc".into()),
                ("rpc.service", (*service).into()),
                ("rpc.method", (*method).into()),
                ("rpc.grpc.status_code", code.map_or(0, |code| code as u64).into()),
            ],
            Edge::Rest { path, route, status } => vec![
                ("http.request.method", "POST".into()),
                ("http.route", (*route).into()),
                ("url.path", path.clone().into()),
                (
                    "http.response.status_code",
                    u64::from(outcome.err().map_or(StatusCode::OK, status).as_u16()).into(),
                ),
            ],
        };
        attributes.push(("infermesh.model.name", self.model.clone().into()));
        match outcome {
            Ok(told) => {
                attributes.push(("infermesh.model.version", told.version.to_string().into()));
                if !told.id.is_empty() {
                    attributes.push(("infermesh.request.id", told.id.into()));
                }
            }
            Err(error) => attributes.push(("error.type", error.code.name().into())),
        }
        attributes
    }

    fn log(&self, outcome: Result<Told<'_>, &Error>, end: Instant) {
        let duration = end - self.origin.received;
        let status = outcome.err().map_or("OK", |error| error.code.name());
        let name = self.name();
        let message = format!("{name} {} {:.3} ms {status}", self.model, duration.as_secs_f64() * 1e3);
        let mut fields = self.attributes(outcome);
        fields.push(("event.duration", (duration.as_nanos() as u64).into()));
        fields.push(("event.outcome", if outcome.is_ok() { "success" } else { "failure" }.into()));
        if let Edge::Grpc { .. } = self.origin.edge {
            fields.push(("url.path", format!("/{name}").into()));
        }
        if let Err(error) = outcome {
            fields.push(("error.message", error.message.to_string().into()));
        }
        // A trace that is recorded elsewhere is worth a name, too.
        let trace = self.ids.map(|ids| ids.trace);
        if let Some(trace) = trace.or_else(|| Some(self.origin.parent.as_ref()?.trace)) {
            fields.push(("trace.id", format!("{trace:032x}").into()));
        }
        if let Some(ids) = self.ids {
            fields.push(("span.id", format!("{:016x}", ids.span).into()));
        }
        self.shared.log.info("inference", message, fields);
    }
}

/// A span of its own within this one.
pub fn within(outer: TraceIds) -> TraceIds {
    TraceIds { span: span_id(), ..outer }
}

/// Records a step of an ensemble, which `version` accepted at `since`: `own` is its span, `outer` that of the ensemble.
/// What succeeded says its timing if it had a single execution.
pub fn tell_step(
    traces: &Traces,
    outer: TraceIds,
    own: TraceIds,
    version: &Version,
    since: Instant,
    outcome: Result<Option<Timing>, &Error>,
) {
    let step = Span {
        trace: own.trace,
        id: own.span,
        parent: outer.span,
        remote: false,
        state: String::new(),
        name: "step".into(),
        kind: Kind::Internal,
        start: since,
        end: Instant::now(),
        attributes: vec![
            ("infermesh.model.name", version.name.clone().into()),
            ("infermesh.model.version", version.number.to_string().into()),
        ],
        events: Vec::new(),
        error: outcome.err().map(|error| error.message.to_string()),
    };
    let mut spans = vec![step];
    if let Ok(Some(timing)) = outcome {
        let inner = model_spans(&spans[0], since, timing);
        spans.extend(inner);
    }
    traces.post(spans);
}

/// Queue and compute, within the span of whoever asked for them.
fn model_spans(outer: &Span, enqueued: Instant, timing: Timing) -> [Span; 2] {
    let Phases { input, infer, .. } = timing.phases;
    let gathered = timing.started + input;
    let queue = Span::within(outer, "queue", span_id(), enqueued, timing.started);
    let end = timing.started + timing.phases.total();
    let mut compute = Span::within(outer, "compute", span_id(), timing.started, end);
    compute.attributes = vec![
        ("infermesh.batch.rows", (timing.rows as u64).into()),
        ("infermesh.batch.requests", (timing.requests as u64).into()),
    ];
    compute.events = vec![("inputs gathered", gathered), ("model executed", gathered + infer)];
    [queue, compute]
}

/// Whether a server span is an error: one that the caller made is none of the server's.
fn is_fault(code: Code) -> bool {
    matches!(
        code,
        Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::ResourceExhausted
    )
}
