//! Traces: which one a request is a part of, the spans of it that are recorded here, and what those are told who are asked.
//!
//! A request of a peer is a SERVER span. Each attempt is a CLIENT span below it, whose id goes to the endpoint; where the app
//! calls others they are spans below the app's own. What is not recorded passes as it came.

mod attempt;
pub mod headers;

pub use attempt::Attempt;

use super::{
    join::{Joins, Remembered},
    record::{Begun, Over},
};
use crate::proto::{self, Direction};
use headers::{Caller, REQUEST_ID};
use http::{HeaderMap, HeaderValue};
use infermesh_telemetry::{
    Parent, Span, Traces,
    context::{span_id, trace_id},
    span::Kind,
};
use std::{sync::Arc, time::Instant};

/// How a proxy passes traces on.
pub struct Tracing {
    traces: Arc<Traces>,
    /// Contexts are looked at also while nothing is recorded.
    passes: bool,
    b3: bool,
    joins: Option<Arc<Joins>>,
}

/// What is known of the trace that a request is a part of.
#[derive(Default)]
pub struct Context {
    /// The trace's id, whether it is recorded here or not.
    pub id: Option<u128>,
    pub trace: Option<Trace>,
    /// For what the app sends while it answers.
    #[expect(dead_code, reason = "it is forgotten when this is dropped")]
    pub remembered: Option<Remembered>,
}

/// A trace that is recorded here.
pub struct Trace {
    traces: Arc<Traces>,
    b3: bool,
    id: u128,
    state: String,
    /// The caller's span; 0: there is none.
    caller: u64,
    /// The request's; none where the app calls others.
    own: Option<u64>,
}

impl Tracing {
    pub fn new(given: Option<&proto::Tracing>, traces: Arc<Traces>) -> Self {
        let joins = given.is_some_and(|given| given.join).then(Arc::default);
        Self { traces, passes: given.is_some(), b3: given.is_some_and(|given| given.b3), joins }
    }

    /// Finds out which trace a request is a part of, and says so in its headers where they do not. `is_told`: somebody wants
    /// to know even if nothing is done about it.
    pub fn begin(&self, direction: Direction, headers: &mut HeaderMap, is_told: bool) -> Context {
        let is_on = self.traces.rules.is_on();
        if !is_on && !self.passes && !is_told {
            return Context::default();
        }
        let Caller { mut parent, mut decided, is_w3c } = headers::read(headers);
        let mut is_foreign = !is_w3c;
        if parent.is_none()
            && direction == Direction::Outbound
            && let Some(joins) = &self.joins
            && let Some(joined) = joins.find(request_id(headers))
        {
            (decided, is_foreign) = (Some(joined.sampled), true);
            parent = Some(joined);
        }
        let trace = (is_on && self.traces.rules.decide("", decided)).then(|| Trace {
            traces: self.traces.clone(),
            b3: self.b3,
            id: parent.as_ref().map_or_else(trace_id, |parent| parent.trace),
            state: parent.as_ref().map_or_else(String::new, |parent| parent.state.clone()),
            caller: parent.as_ref().map_or(0, |parent| parent.span),
            own: (direction != Direction::Outbound).then(span_id),
        });
        let context = match (&trace, parent) {
            (Some(trace), _) => Some(trace.context(trace.below())),
            (None, Some(parent)) => Some(parent),
            // Who begins a trace decides for all who come after.
            (None, None) if is_on => {
                Some(Parent { trace: trace_id(), span: span_id(), sampled: false, state: String::new() })
            }
            (None, None) => None,
        };
        if let Some(context) = &context
            && (is_on || self.passes)
        {
            if is_foreign {
                headers::write_state(headers, &context.state);
            }
            // Attempts of a trace that is recorded speak for themselves. What is left to others to decide stays as it is,
            // unless we decide.
            let is_settled = trace.is_none() && (is_on || decided.is_some());
            if is_settled && (is_foreign || self.b3 && !headers::has_b3(headers)) {
                headers::write(headers, context, self.b3);
            }
        }
        let id = context.as_ref().map(|context| context.trace);
        let remembered = match &self.joins {
            Some(joins) if direction == Direction::Inbound => Some(joins.remember(&named(headers), context)),
            _ => None,
        };
        Context { id, trace, remembered }
    }
}

impl Trace {
    pub fn span(&self) -> Option<u64> {
        self.own
    }

    /// The span that attempts are below.
    fn below(&self) -> u64 {
        self.own.unwrap_or(self.caller)
    }

    fn context(&self, span: u64) -> Parent {
        Parent { trace: self.id, span, sampled: true, state: self.state.clone() }
    }

    /// The request has ended.
    pub fn over(&self, begun: &Begun<'_>, over: &Over<'_>, start: Instant) {
        let Some(id) = self.own else { return };
        let mut attributes = begun.asked();
        attributes.extend(over.answered());
        attributes.push(("client.address", begun.peer.into()));
        if !begun.route.is_empty() {
            attributes.push(("infermesh.route", begun.route.into()));
        }
        let said = || match over.failure {
            Some(failure) if !failure.message.is_empty() => failure.message.clone(),
            _ => over.end.name().into_owned(),
        };
        self.traces.post(vec![Span {
            trace: self.id,
            id,
            parent: self.caller,
            remote: self.caller != 0,
            state: self.state.clone(),
            name: begun.name(),
            kind: Kind::Server,
            start,
            end: start + over.took,
            attributes,
            events: Vec::new(),
            error: over.end.is_fault().then(said),
        }]);
    }
}

fn request_id(headers: &HeaderMap) -> Option<&str> {
    headers.get(REQUEST_ID)?.to_str().ok()
}

/// The request's id; a new one if it has none.
fn named(headers: &mut HeaderMap) -> String {
    if let Some(id) = request_id(headers) {
        return id.to_owned();
    }
    let id = format!("{:032x}", trace_id());
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, value);
    }
    id
}

#[cfg(test)]
mod tests;
