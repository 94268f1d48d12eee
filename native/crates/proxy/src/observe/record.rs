//! All that there is to say of one request. Field names are those of the Elastic Common Schema and of OpenTelemetry's
//! semantic conventions where they have one.

use super::{ending::End, failure::Failure};
use infermesh_telemetry::Value;
use std::{borrow::Cow, time::Duration};

pub type Fields = Vec<(&'static str, Value)>;

/// What is known when a request begins.
#[derive(Debug, Clone, Copy)]
pub struct Begun<'a> {
    pub grpc: bool,
    pub method: &'a str,
    /// Without its query, which may hold what is nobody's business.
    pub path: &'a str,
    pub listener: &'a str,
    /// Empty if it came to none.
    pub route: &'a str,
    pub cluster: &'a str,
    /// Who asks: an address, and an identity that was proved.
    pub peer: &'a str,
    pub identity: Option<&'a str>,
    /// The trace that it is a part of, and its span there, if it is recorded.
    pub trace: Option<u128>,
    pub span: Option<u64>,
}

/// What is known when it has ended.
#[derive(Debug, Clone, Copy)]
pub struct Over<'a> {
    pub end: End,
    /// Of HTTP; 0 if there was no answer.
    pub status: u16,
    pub took: Duration,
    /// How often an endpoint was asked for it, and which one last.
    pub attempts: u32,
    pub endpoint: Option<&'a str>,
    /// Bytes of bodies.
    pub received: u64,
    pub sent: u64,
    pub failure: Option<&'a Failure>,
}

impl Begun<'_> {
    /// `package.Service/Method`, or method and route: there are not many of them.
    pub fn name(&self) -> Cow<'static, str> {
        match (self.grpc, self.route) {
            (true, _) => self.path.trim_start_matches('/').to_owned().into(),
            (false, "") => self.method.to_owned().into(),
            (false, route) => format!("{} {route}", self.method).into(),
        }
    }

    /// What is asked for.
    pub fn asked(&self) -> Fields {
        let mut fields = called(self.grpc, self.method, self.path);
        if self.grpc {
            fields.push(("url.path", self.path.into()));
        }
        fields
    }

    pub fn fields(&self) -> Fields {
        let mut fields = self.asked();
        fields.extend([("infermesh.listener", self.listener.into()), ("client.address", self.peer.into())]);
        if !self.route.is_empty() {
            fields
                .extend([("infermesh.route", self.route.into()), ("infermesh.cluster", self.cluster.into())]);
        }
        if let Some(identity) = self.identity {
            fields.push(("client.user.id", identity.into()));
        }
        if let Some(trace) = self.trace {
            fields.push(("trace.id", format!("{trace:032x}").into()));
        }
        if let Some(span) = self.span {
            fields.push(("span.id", format!("{span:016x}").into()));
        }
        fields
    }
}

impl Over<'_> {
    /// How it was answered.
    pub fn answered(&self) -> Fields {
        let mut fields = Vec::new();
        if let End::Grpc(code) = self.end {
            fields.push(("rpc.grpc.status_code", u64::from(code).into()));
        } else if self.status > 0 {
            fields.push(("http.response.status_code", u64::from(self.status).into()));
        }
        if !self.end.is_success() {
            fields.push(("error.type", self.end.name().as_ref().into()));
        }
        fields
    }

    pub fn fields(&self) -> Fields {
        let mut fields = self.answered();
        fields.extend([
            ("event.outcome", if self.end.is_success() { "success" } else { "failure" }.into()),
            ("event.duration", (self.took.as_nanos() as u64).into()),
            ("http.request.body.bytes", self.received.into()),
            ("http.response.body.bytes", self.sent.into()),
            ("infermesh.attempts", u64::from(self.attempts).into()),
        ]);
        if let Some(endpoint) = self.endpoint {
            fields.push(("server.address", endpoint.into()));
        }
        if let Some(Failure { source, message }) = self.failure {
            fields.push(("infermesh.error.source", source.name().into()));
            if !message.is_empty() {
                fields.push(("error.message", message[..].into()));
            }
        }
        fields
    }
}

/// What is called, as spans say it.
pub fn called(grpc: bool, method: &str, path: &str) -> Fields {
    match path.trim_start_matches('/').split_once('/') {
        Some((service, method)) if grpc => {
            vec![
                ("rpc.system", "grpc".into()),
                ("rpc.service", service.into()),
                ("rpc.method", method.into()),
            ]
        }
        _ => vec![("http.request.method", method.into()), ("url.path", path.into())],
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::observe::failure::Source;

    pub const BEGUN: Begun = Begun {
        grpc: true,
        method: "POST",
        path: "/inference.GRPCInferenceService/ModelInfer",
        listener: "in",
        route: "fraud",
        cluster: "models",
        peer: "10.0.0.7:1234",
        identity: Some("spiffe://shop/checkout"),
        trace: Some(7),
        span: None,
    };

    pub const OVER: Over = Over {
        end: End::Grpc(0),
        status: 200,
        took: Duration::from_millis(3),
        attempts: 1,
        endpoint: Some("127.0.0.1:8001"),
        received: 10,
        sent: 20,
        failure: None,
    };

    fn value(fields: &Fields, wanted: &str) -> Option<Value> {
        fields.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.clone())
    }

    #[test]
    fn a_call_and_a_request_have_names_of_which_there_are_few() {
        assert_eq!(BEGUN.name(), "inference.GRPCInferenceService/ModelInfer");
        let request = Begun { grpc: false, path: "/orders/17", ..BEGUN };
        assert_eq!(request.name(), "POST fraud");
        assert_eq!(Begun { route: "", ..request }.name(), "POST");
    }

    #[test]
    fn a_record_says_what_was_asked_by_whom() {
        let fields = BEGUN.fields();
        assert_eq!(value(&fields, "rpc.method"), Some("ModelInfer".into()));
        assert_eq!(value(&fields, "url.path"), Some(BEGUN.path.into()));
        assert_eq!(value(&fields, "client.user.id"), Some("spiffe://shop/checkout".into()));
        assert_eq!(value(&fields, "trace.id"), Some("00000000000000000000000000000007".into()));
        assert_eq!(value(&fields, "span.id"), None);
    }

    #[test]
    fn a_record_says_how_it_ended_and_why() {
        let fields = OVER.fields();
        assert_eq!(value(&fields, "event.outcome"), Some("success".into()));
        assert_eq!(value(&fields, "event.duration"), Some(3_000_000u64.into()));
        assert_eq!(value(&fields, "error.type"), None);
        let failure = Failure::new(Source::Upstream, "nobody there");
        let fields = Over { end: End::Http(503), status: 503, failure: Some(&failure), ..OVER }.fields();
        assert_eq!(value(&fields, "http.response.status_code"), Some(503u64.into()));
        assert_eq!(value(&fields, "infermesh.error.source"), Some("upstream".into()));
        assert_eq!(value(&fields, "error.message"), Some("nobody there".into()));
    }

    #[test]
    fn no_field_is_there_twice() {
        for grpc in [true, false] {
            let fields = [Begun { grpc, ..BEGUN }.fields(), OVER.fields()].concat();
            let names: std::collections::BTreeSet<_> = fields.iter().map(|(name, _)| name).collect();
            assert_eq!(names.len(), fields.len());
        }
    }
}
