//! A body that has to be there whole before anything can be done with it.

use crate::{
    body::{Body, Lost, Piece, linger},
    call::Call,
    origin::Origin,
};
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use infermesh_rest::encoding::encoding;
use infermesh_transport::budget::Hold;
use infermesh_wire::{
    Code, Error,
    framing::{Encoding, too_large},
};
use std::{future::poll_fn, time::Duration};
use tokio::time::timeout;

/// A client that sends nothing for so long has lost interest.
const PAUSE_LIMIT: Duration = Duration::from_secs(30);

/// A body, and the memory that it takes for as long as this lives.
pub struct Whole {
    pub bytes: Bytes,
    pub hold: Hold,
}

/// Receives a body and inflates it. One that came in one piece is not copied. What comes is `counted` for a request, if it is
/// its body.
///
/// Fails with RESOURCE_EXHAUSTED (over the limit, or no memory is left), UNIMPLEMENTED (unknown encoding), INVALID_ARGUMENT
/// (not of its encoding) or CANCELLED (cut short).
pub async fn receive(
    call: &Call<'_>,
    headers: &HeaderMap,
    mut body: Body,
    counted: Option<&Origin>,
) -> Result<Whole, Error> {
    let received = take(call, headers, &mut body, counted).await;
    if received.is_err() {
        linger(body);
    }
    received
}

async fn take(
    call: &Call<'_>,
    headers: &HeaderMap,
    body: &mut Body,
    counted: Option<&Origin>,
) -> Result<Whole, Error> {
    let limit = call.local.shared.max_message;
    let encoding = encoding(headers)?;
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(too_large(announced, limit));
    }
    let mut hold = Hold::none(&call.local.purse);
    hold.check(announced)?;
    let (mut first, mut buffer) = (Bytes::new(), BytesMut::new());
    while let Some(chunk) = next(body).await? {
        let size = first.len() + buffer.len() + chunk.len();
        if size > limit {
            return Err(too_large(size, limit));
        }
        hold.grow(chunk.len())?;
        if let Some(origin) = counted {
            origin.receive(chunk.len());
        }
        if first.is_empty() && buffer.is_empty() {
            first = chunk;
            continue;
        }
        if buffer.is_empty() {
            buffer.reserve(announced.max(size));
            buffer.extend_from_slice(&std::mem::take(&mut first));
        }
        buffer.extend_from_slice(&chunk);
    }
    let mut bytes = if buffer.is_empty() { first } else { buffer.freeze() };
    if encoding != Encoding::Identity {
        bytes = encoding.decompress(&bytes, limit)?;
        hold.grow(bytes.len())?;
    }
    Ok(Whole { bytes, hold })
}

/// The next bytes; trailers say nothing that anybody here listens to.
async fn next(body: &mut Body) -> Result<Option<Bytes>, Error> {
    let cut = |lost: Lost| Error::new(Code::Cancelled, format!("the request was not received whole: {lost}"));
    loop {
        let Ok(piece) = timeout(PAUSE_LIMIT, poll_fn(|context| body.poll(context))).await else {
            return Err(cut(Lost::new("the client sends nothing")));
        };
        match piece.transpose().map_err(cut)? {
            Some(Piece::Data(data)) => {
                body.release(data.len());
                if !data.is_empty() {
                    return Ok(Some(data));
                }
            }
            Some(Piece::Trailers(_)) => {}
            None => return Ok(None),
        }
    }
}
