//! From a path to what is answered there.

use super::{body::Said, certificates, config, endpoints, guard, page, stats, tap};
use crate::shared::Shared;
use http::{
    HeaderValue, Method, Response, StatusCode,
    header::{CONTENT_TYPE, ORIGIN},
    request::Parts,
};
use infermesh_rest::answer::{self, Answer};
use infermesh_telemetry::metrics;
use infermesh_transport::peer::address::Peer;
use rustls::pki_types::UnixTime;
use serde_json::{Value, json};
use std::{sync::atomic::Ordering::Relaxed, time::Instant};

const INDEX: &str = "\
GET  /live          whether the process lives
GET  /ready         whether it wants requests; 503 with the reason if it does not
GET  /metrics       for Prometheus
GET  /stats         totals and rates since the start
GET  /endpoints     who is asked, and how they do
GET  /certificates  who this proxy is to its peers
GET  /config        what it was told to do
GET  /tap           live requests, a JSON object a line; ?listener= route= cluster= code= min_ms=
POST /drain         finish what is under way, and end
POST /quit          the same
";

/// For browsers, where there is a page.
const OF_PAGE: &str = "\
GET  /              in a browser: a page that shows who calls whom, how often and how well
GET  /api/overview  the same as JSON
GET  /api/stream    the same again and again, as server-sent events
";

/// Answers a request.
pub async fn answer(shared: &Shared, peer: &Peer, head: &Parts) -> Response<Said> {
    if let Some(refusal) = guard::refusal(peer, head) {
        return refusal.map(Said::from);
    }
    if let Some(page) = shared.page.get()
        && let Some(answer) = page::answer(shared, page, head).await
    {
        return answer;
    }
    if head.uri.path() == "/tap" && head.method == Method::GET {
        return match tap::look(&shared.tap, head.uri.query().unwrap_or_default()) {
            Ok(view) => live(Said::Requests(view), "application/x-ndjson"),
            Err(error) => answer::error(&error).map(Said::from),
        };
    }
    whole(shared, head).map(Said::from)
}

/// What has no end yet.
pub fn live(said: Said, content_type: &'static str) -> Response<Said> {
    let mut response = Response::new(said);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// What is there to be said at once.
fn whole(shared: &Shared, head: &Parts) -> Answer {
    let get = head.method == Method::GET || head.method == Method::HEAD;
    let now = Instant::now();
    match head.uri.path() {
        "/drain" | "/quit" if head.method == Method::POST => drain(shared, head),
        "/drain" | "/quit" => answer::wrong_method("POST"),
        path if !KNOWN.contains(&path) => answer::unknown_path(path),
        _ if !get => answer::wrong_method("GET"),
        // It has no end that could be told ahead.
        "/tap" => answer::wrong_method("GET"),
        "/live" => said(&json!({ "live": true })),
        "/ready" => ready(shared),
        "/metrics" => answer::typed(metrics::CONTENT_TYPE, vec![super::metrics::expose(shared, now).into()]),
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
const KNOWN: [&str; 9] =
    ["/", "/tap", "/live", "/ready", "/metrics", "/stats", "/endpoints", "/certificates", "/config"];

fn index(shared: &Shared) -> String {
    let of_page = if shared.page.get().is_some() { OF_PAGE } else { "" };
    format!("infermesh proxy '{}', version {}\n\n{INDEX}{of_page}", shared.name, shared.version)
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
