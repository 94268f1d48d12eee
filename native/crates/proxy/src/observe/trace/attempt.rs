//! The span of one attempt.

use super::{Trace, headers};
use crate::observe::{ending::CODES, metrics::Fate, record::called};
use http::{HeaderMap, Request};
use infermesh_policy::Event;
use infermesh_telemetry::{Span, Traces, context::span_id, span::Kind};
use std::{sync::Arc, time::Instant};

pub struct Attempt {
    traces: Arc<Traces>,
    b3: bool,
    span: Span,
}

impl Trace {
    /// Begins a span. `server` is an address and its port, `made` the attempts so far.
    pub fn attempt(
        &self,
        head: &Request<()>,
        grpc: bool,
        server: (String, Option<u16>),
        made: u32,
        start: Instant,
    ) -> Attempt {
        let (method, path) = (head.method().as_str(), head.uri().path());
        let mut attributes = called(grpc, method, path);
        if !grpc {
            attributes.push(("url.path", path.into()));
        }
        attributes.push(("server.address", server.0.into()));
        if let Some(port) = server.1 {
            attributes.push(("server.port", u64::from(port).into()));
        }
        if made > 0 {
            attributes.push(("http.request.resend_count", u64::from(made).into()));
        }
        let span = Span {
            trace: self.id,
            id: span_id(),
            parent: self.below(),
            remote: self.own.is_none() && self.caller != 0,
            state: self.state.clone(),
            name: if grpc { path.trim_start_matches('/').to_owned() } else { method.to_owned() }.into(),
            kind: Kind::Client,
            start,
            end: start,
            attributes,
            events: Vec::new(),
            error: None,
        };
        Attempt { traces: self.traces.clone(), b3: self.b3, span }
    }
}

impl Attempt {
    /// Tells the endpoint that what it does is below this.
    pub fn write(&self, headers: &mut HeaderMap) {
        let Span { trace, id, state, .. } = &self.span;
        let context =
            infermesh_telemetry::Parent { trace: *trace, span: *id, sampled: true, state: state.clone() };
        headers::write(headers, &context, self.b3);
    }

    /// Ends it.
    pub fn over(mut self, event: Event, now: Instant) {
        let Span { end, attributes, error, .. } = &mut self.span;
        *end = now;
        let failure = match event {
            Event::Grpc(_) | Event::Busy => {
                let code = event.code().unwrap_or_default();
                attributes.push(("rpc.grpc.status_code", u64::from(code).into()));
                let name = CODES.get(usize::from(code)).copied().unwrap_or("UNKNOWN");
                (code != 0).then(|| name.to_owned())
            }
            Event::Http(status) => {
                attributes.push(("http.response.status_code", u64::from(status).into()));
                (status >= 400).then(|| status.to_string())
            }
            _ => Some(Fate::from(event).name().to_owned()),
        };
        if let Some(failure) = failure {
            attributes.push(("error.type", failure[..].into()));
            // Nobody waits for it any more: that is nobody's failure.
            *error = (event != Event::GivenUp).then_some(failure);
        }
        self.traces.post(vec![self.span]);
    }
}
