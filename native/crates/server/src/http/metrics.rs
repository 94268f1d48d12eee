//! `/metrics`.

use super::answer::Answer;
use crate::{observe::metrics, shared::Local};
use hyper::{Method, Request, body::Incoming};
use infermesh_rest::answer;
use infermesh_telemetry::metrics::CONTENT_TYPE;
use std::rc::Rc;

/// Answers one request on a metrics listener.
pub async fn serve(local: Rc<Local>, request: Request<Incoming>) -> Answer {
    let answer = match (request.uri().path(), request.method()) {
        ("/metrics", &Method::GET | &Method::HEAD) => {
            let shared = local.shared.clone();
            // Asking the system and its devices takes a while; the thread's requests go on meanwhile.
            let text = tokio::task::spawn_blocking(move || metrics::expose(&shared)).await;
            answer::typed(CONTENT_TYPE, vec![text.unwrap_or_default().into()])
        }
        ("/metrics", _) => answer::wrong_method("GET"),
        (path, _) => answer::unknown_path(path),
    };
    answer.map(Into::into)
}
