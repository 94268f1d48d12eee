//! What browsers are shown: the page's files, and the picture.

use super::{body::Said, route::live};
use crate::{
    observe::page::{File, Page},
    shared::Shared,
};
use bytes::Bytes;
use http::{
    HeaderValue, Method, Response, StatusCode,
    header::{ACCEPT, CACHE_CONTROL, VARY},
    request::Parts,
};
use infermesh_rest::answer::{self, Answer};
use infermesh_wire::{Code, Error};
use std::{
    fs, io,
    time::{Duration, Instant},
};
use tokio::{task::spawn_blocking, time::timeout};

/// For a picture, and for a file.
const PATIENCE: Duration = Duration::from_secs(3);

/// `None`: it is nothing of the page's.
pub async fn answer(shared: &Shared, page: &Page, head: &Parts) -> Option<Response<Said>> {
    let path = head.uri.path();
    let mut answer = match path {
        "/api/overview" | "/api/stream" if head.method != Method::GET => {
            answer::wrong_method("GET").map(Said::from)
        }
        "/api/overview" => overview(shared).await.map(Said::from),
        "/api/stream" => stream(shared),
        "/" if !is_browser(head) => return None,
        _ if head.method != Method::GET && head.method != Method::HEAD => return None,
        _ => file(page.files.get(path)?).await.map(Said::from),
    };
    let common = page.headers.iter().map(|(name, value)| (name.clone(), value.clone()));
    answer.headers_mut().extend(common);
    Some(answer)
}

/// Others get the list of paths.
fn is_browser(head: &Parts) -> bool {
    let mut accepted = head.headers.get_all(ACCEPT).iter();
    accepted.any(|value| value.to_str().is_ok_and(|value| value.contains("text/html")))
}

async fn overview(shared: &Shared) -> Answer {
    let Some(mut view) = shared.picture.look(Instant::now()) else { return crowded() };
    match timeout(PATIENCE, view.recv()).await {
        Ok(Some(json)) => fleeting(answer::json(json)),
        _ => {
            answer::error(&Error::new(Code::Unavailable, "nobody made a picture in time, or the proxy ends"))
        }
    }
}

fn stream(shared: &Shared) -> Response<Said> {
    match shared.picture.look(Instant::now()) {
        Some(view) => fleeting(live(Said::Pictures(view), "text/event-stream")),
        None => crowded().map(Said::from),
    }
}

fn crowded() -> Answer {
    answer::error(&Error::overloaded("as many look at the picture already as may do so at once"))
}

fn fleeting<T>(mut answer: Response<T>) -> Response<T> {
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

async fn file(file: &File) -> Answer {
    let bytes = match read(file).await {
        Ok(bytes) => bytes,
        Err(error) => {
            let said = format!("the page's file {} cannot be read: {error}", file.path.display());
            return answer::refusal(StatusCode::INTERNAL_SERVER_ERROR, &said);
        }
    };
    let mut answer = Response::new(vec![bytes]);
    answer.headers_mut().clone_from(&file.headers);
    // The same path is a list for others.
    answer.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
    answer
}

async fn read(file: &File) -> io::Result<Bytes> {
    let path = file.path.clone();
    let reading = spawn_blocking(move || fs::read(path));
    let read = timeout(PATIENCE, reading).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?;
    read?.map(Bytes::from)
}
