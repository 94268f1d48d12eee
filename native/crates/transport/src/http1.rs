//! One HTTP/1.1 connection: its limits, its requests, its end.

use crate::{
    connections::Connections,
    peer::{
        life::{FAREWELL, jittered},
        patient::Patient,
        rules::Rules,
    },
};
use http::{HeaderValue, Response, header};
use http_body::Body;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{convert::Infallible, error, future::pending, io, pin::pin, rc::Rc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::sleep,
};

/// A request's head must be there within this time of the connection, or of the request before it. Clients keep
/// connections for later, so it is long.
const HEAD_TIMEOUT: Duration = Duration::from_secs(120);

const MAX_HEADERS: usize = 100;

/// Also bounds a request's head.
const MAX_BUFFER: usize = 256 << 10;

/// A request under way, until this is dropped: an answer's body holds it until it has been handed over.
pub type Mark = Rc<()>;

/// Serves until the client leaves or the process drains. A client that leaves early takes its request with it: the
/// future that answers is dropped.
pub async fn serve<F, B>(
    connections: &Connections,
    rules: &Rules,
    io: impl AsyncRead + AsyncWrite + Unpin,
    answer: impl Fn(Request<Incoming>, Mark) -> F,
) -> io::Result<()>
where
    F: Future<Output = Response<B>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn error::Error + Send + Sync>>,
{
    // Cloned for every request under way.
    let mark = Mark::default();
    let service = service_fn(|request| {
        let answer = answer(request, mark.clone());
        async {
            let mut answer = answer.await;
            if connections.is_draining() {
                answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let idle = Rc::strong_count(&mark);
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(rules.max_idle.unwrap_or(HEAD_TIMEOUT))
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_BUFFER)
            .serve_connection(TokioIo::new(Patient::new(io, rules.write_timeout)), service)
    );
    let of_age = async {
        match rules.max_age {
            Some(age) => sleep(jittered(age)).await,
            None => pending().await,
        }
    };
    tokio::select! {
        biased;
        served = connection.as_mut() => return served.map_err(io::Error::other),
        () = connections.drained() => {}
        () = of_age => {}
    }
    connection.as_mut().graceful_shutdown();
    loop {
        tokio::select! {
            served = connection.as_mut() => return served.map_err(io::Error::other),
            // Half a head, or an answer that was written and is not read: nothing that was accepted is lost.
            () = sleep(FAREWELL) => if Rc::strong_count(&mark) == idle { return Ok(()) },
        }
    }
}
