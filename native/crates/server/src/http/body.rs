//! Receives a request's body, within limits of size and time.

use crate::{
    memory::buffers::Buffer,
    shared::{Local, shutting_down},
};
use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use infermesh_rest::encoding::encoding;
use infermesh_transport::budget::Hold;
use infermesh_wire::{
    Code, Error,
    framing::{Encoding, too_large},
};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// A client that sends nothing for so long has lost interest.
const PAUSE_LIMIT: Duration = Duration::from_secs(30);

/// Of a body that was refused, as much is read.
const DISCARD_LIMIT: usize = 64 << 20;
const DISCARD_TIMEOUT: Duration = Duration::from_secs(2);

/// The whole body, inflated. One that arrived in one piece is not copied.
///
/// Fails with RESOURCE_EXHAUSTED (over the limit), UNIMPLEMENTED (unknown encoding), INVALID_ARGUMENT (not of its
/// encoding), CANCELLED (cut short) or UNAVAILABLE (the server drains: what is not here whole was not accepted).
/// RESOURCE_EXHAUSTED, too, if `hold` cannot hold it.
pub async fn receive(
    local: &Local,
    headers: &HeaderMap,
    mut body: Incoming,
    hold: &mut Hold,
) -> Result<Bytes, Error> {
    let received = take(local, headers, &mut body, hold).await;
    if received.as_ref().is_err_and(|error| error.code != Code::Cancelled) {
        discard(local, &mut body).await;
    }
    received
}

/// Reads what follows a refusal, within bounds. A connection that is closed over bytes that nobody read is reset, and the
/// answer may be lost with it before the client, which is still writing, comes to read it.
async fn discard(local: &Local, body: &mut Incoming) {
    let rest = async {
        let mut left = DISCARD_LIMIT;
        while let Ok(Some(chunk)) = next(local, body).await {
            left = left.saturating_sub(chunk.len());
            if left == 0 {
                return;
            }
        }
    };
    // Slower than that, the client finds out by itself.
    let _ = timeout(DISCARD_TIMEOUT, rest).await;
}

async fn take(
    local: &Local,
    headers: &HeaderMap,
    body: &mut Incoming,
    hold: &mut Hold,
) -> Result<Bytes, Error> {
    let limit = local.shared.max_input_bytes;
    let encoding = encoding(headers)?;
    let announced = body.size_hint().lower().try_into().unwrap_or(usize::MAX);
    if announced > limit {
        return Err(too_large(announced, limit));
    }
    hold.check(announced)?;
    let mut whole = match next(local, body).await? {
        None => return Ok(Bytes::new()),
        Some(first) if body.is_end_stream() => {
            hold.grow(first.len())?;
            first
        }
        Some(first) => {
            hold.grow(first.len())?;
            let mut buffer = Buffer::new(announced.max(first.len()));
            buffer.extend_from_slice(&first);
            while let Some(chunk) = next(local, body).await? {
                if buffer.len() + chunk.len() > limit {
                    return Err(too_large(buffer.len() + chunk.len(), limit));
                }
                hold.grow(chunk.len())?;
                buffer.extend_from_slice(&chunk);
            }
            buffer.freeze()
        }
    };
    if encoding != Encoding::Identity {
        whole = encoding.decompress(&whole, limit)?;
        hold.grow(whole.len())?;
    }
    Ok(whole)
}

async fn next(local: &Local, body: &mut Incoming) -> Result<Option<Bytes>, Error> {
    let mut draining = local.shared.connections.draining();
    loop {
        let frame = tokio::select! {
            biased;
            frame = body.frame() => frame,
            _ = draining.wait_for(|draining| *draining) => return Err(shutting_down("HTTP")),
            () = sleep(PAUSE_LIMIT) => return Err(cut_short("the client sends nothing")),
        };
        match frame {
            None => return Ok(None),
            Some(Err(error)) => return Err(cut_short(&error.to_string())),
            // Trailers say nothing here.
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

fn cut_short(why: &str) -> Error {
    Error::new(Code::Cancelled, format!("the request was not received whole: {why}"))
}
