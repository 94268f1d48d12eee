//! From a path to what is answered there.

use super::{certificates, config, endpoints, metrics, stats};
use crate::shared::Shared;
use bytes::Bytes;
use http::{Method, StatusCode, header::ORIGIN, request::Parts};
use http_body::{Body, Frame, SizeHint};
use infermesh_rest::answer::{self, Answer};
use infermesh_telemetry::metrics::CONTENT_TYPE;
use infermesh_transport::http1::Mark;
use rustls::pki_types::UnixTime;
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    sync::atomic::Ordering::Relaxed,
    task::{Context, Poll},
    time::Instant,
};

const INDEX: &str = "\
GET  /live          whether the process lives
GET  /ready         whether it wants requests; 503 with the reason if it does not
GET  /metrics       for Prometheus
GET  /stats         totals and rates since the start
GET  /endpoints     who is asked, and how they do
GET  /certificates  who this proxy is to its peers
GET  /config        what it was told to do
POST /drain         finish what is under way, and end
POST /quit          the same
";

/// Answers a request.
pub fn answer(shared: &Shared, head: &Parts) -> Answer {
    let get = head.method == Method::GET || head.method == Method::HEAD;
    let now = Instant::now();
    match head.uri.path() {
        "/drain" | "/quit" if head.method == Method::POST => drain(shared, head),
        "/drain" | "/quit" => answer::wrong_method("POST"),
        path if !KNOWN.contains(&path) => answer::unknown_path(path),
        _ if !get => answer::wrong_method("GET"),
        "/live" => said(&json!({ "live": true })),
        "/ready" => ready(shared),
        "/metrics" => answer::typed(CONTENT_TYPE, vec![metrics::expose(shared, now).into()]),
        "/stats" => said(&stats::of(shared, now)),
        "/endpoints" => said(&endpoints::of(&shared.plan, now)),
        "/certificates" => said(&certificates::of(shared, UnixTime::now())),
        "/config" => match config::of(&shared.config) {
            Ok(config) => said(&config),
            Err(error) => answer::error(&error),
        },
        _ => answer::typed("text/plain; charset=utf-8", vec![index(shared).into()]),
    }
}

/// For GET.
const KNOWN: [&str; 8] =
    ["/", "/live", "/ready", "/metrics", "/stats", "/endpoints", "/certificates", "/config"];

fn index(shared: &Shared) -> String {
    format!("infermesh proxy '{}', version {}\n\n{INDEX}", shared.name, shared.version)
}

fn said(value: &Value) -> Answer {
    // For people as much as for programs.
    answer::json(format!("{value:#}\n"))
}

fn ready(shared: &Shared) -> Answer {
    let Some(reason) = unready(shared) else { return said(&json!({ "ready": true })) };
    let mut answer = said(&json!({ "ready": false, "reason": reason }));
    *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    answer
}

/// Why no requests should come, if they should not.
pub fn unready(shared: &Shared) -> Option<&'static str> {
    if shared.connections.is_draining() {
        Some("it finishes what is under way, and ends")
    } else if shared.drain_requested.load(Relaxed) {
        Some("it was asked to end")
    } else if !shared.ready.load(Relaxed) {
        Some("its process has not said yet that requests may come, or says that no more should")
    } else {
        None
    }
}

fn drain(shared: &Shared, head: &Parts) -> Answer {
    // A page that somebody on this machine looks at can post here; it cannot do so without saying where it comes from.
    if let Some(origin) = head.headers.get(ORIGIN) {
        let said = format!("found a page of {origin:?}, expected no browser");
        return answer::refusal(StatusCode::FORBIDDEN, &said);
    }
    shared.drain_requested.store(true, Relaxed);
    let mut answer = said(&json!({ "draining": true }));
    *answer.status_mut() = StatusCode::ACCEPTED;
    answer
}

/// An answer's body, which marks its request as under way until it has been handed over.
pub struct Held {
    pieces: VecDeque<Bytes>,
    _mark: Mark,
}

impl Held {
    pub fn new(pieces: Vec<Bytes>, mark: Mark) -> Self {
        Self { pieces: pieces.into(), _mark: mark }
    }
}

impl Body for Held {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.pieces.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.pieces.iter().map(|piece| piece.len() as u64).sum())
    }
}
