//! One HTTP/1.1 connection: its limits, its requests, its end.

use super::{answer::Answer, errors};
use crate::{
    peer::{life::FAREWELL, patient::Patient},
    shared::{Local, shutting_down},
};
use http::{HeaderValue, header};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{convert::Infallible, io, pin::pin, rc::Rc, time::Duration};
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

/// Serves until the client leaves or the server drains. A client that leaves early takes its request with it: the
/// future that answers is dropped, and with it the receiver that tells the batcher that somebody waits.
pub async fn serve<F>(
    local: Rc<Local>,
    io: impl AsyncRead + AsyncWrite + Unpin,
    answer: fn(Rc<Local>, Request<Incoming>) -> F,
) -> io::Result<()>
where
    F: Future<Output = Answer>,
{
    let write_timeout = local.shared.rules.write_timeout;
    // Cloned for every request under way.
    let mark = Rc::new(());
    let service = {
        let (local, mark) = (local.clone(), mark.clone());
        service_fn(move |request| {
            let (local, mark) = (local.clone(), mark.clone());
            async move {
                let mut answer = if local.shared.is_draining() {
                    errors::answer(shutting_down("HTTP"))
                } else {
                    answer(local.clone(), request).await
                };
                if local.shared.is_draining() {
                    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                answer.body_mut().hold(mark, &local.purse);
                Ok::<_, Infallible>(answer)
            }
        })
    };
    let idle = Rc::strong_count(&mark);
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_BUFFER)
            .serve_connection(TokioIo::new(Patient::new(io, write_timeout)), service)
    );
    let mut draining = local.shared.draining.subscribe();
    tokio::select! {
        biased;
        served = connection.as_mut() => return served.map_err(io::Error::other),
        _ = draining.wait_for(|draining| *draining) => {}
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
