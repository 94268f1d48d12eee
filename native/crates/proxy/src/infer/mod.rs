//! Inferences whose messages are looked at: equal ones get the answer that is there (`cache`), small ones share a call
//! (`coalesce`).

pub mod cache;
pub mod coalesce;

use crate::{
    answer::refusal_of,
    body::Body,
    call::Call,
    request::{
        unary::{self, Reply},
        whole,
    },
    transcode::going_with,
};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response, header::CONTENT_TYPE, request::Parts};
use infermesh_rest::{coalesce::Share, transcode::INFER};
use infermesh_wire::{
    Error,
    framing::{PREFIX, too_large},
    response::Pieces,
};

/// A larger request has nothing to gain from company, and its hash takes time.
const MOST_BYTES: usize = 256 << 10;

/// Whether the route looks at an inference.
pub fn looks_at(call: &Call<'_>, path: &str) -> bool {
    (call.route.coalesce.is_some() || call.route.cache.is_some()) && path == INFER
}

/// Answers one unary inference over gRPC.
pub async fn serve(call: &Call<'_>, head: Box<Parts>, body: Body) -> Result<Response<Body>, Error> {
    let whole = whole::receive(call, &HeaderMap::new(), body, Some(call.origin)).await?;
    let reply = ask(call, going_with(head.headers), Pieces::from_iter([whole.bytes])).await?;
    Ok(match reply {
        Reply::Message(message) => {
            let mut response = Response::new(Body::message(prefixed(message)));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            response
        }
        Reply::Refused { code, message } => refusal_of(code, &message),
    })
}

/// Asks for one inference; `message` is length-prefixed.
pub async fn ask(call: &Call<'_>, headers: HeaderMap, message: Pieces) -> Result<Reply, Error> {
    let route = &call.route;
    let size: usize = message.iter().map(Bytes::len).sum();
    if route.coalesce.is_none() && route.cache.is_none() || size > MOST_BYTES {
        return unary::ask(call, route.cluster.next(), INFER, headers, message).await;
    }
    let share = match unframed(&message).map(|message| Share::of(&message)) {
        Some(Ok(share)) => share,
        // It is wrong, or of a kind that stands alone: the server knows what to say.
        _ => return unary::ask(call, route.cluster.next(), INFER, headers, message).await,
    };
    let Some(cache) = route.cache.as_ref().filter(|cache| cache.takes(&share)) else {
        return coalesce::ask(call, headers, message, share).await;
    };
    let key = cache::Key::of(&share, &headers);
    if let Some(answer) = cache.get(&key) {
        return answer_of(&share, &answer);
    }
    let asked = coalesce::ask(call, headers, message, share).await?;
    if let Reply::Message(answer) = &asked {
        cache.put(key, answer);
    }
    Ok(asked)
}

/// An answer that was given to another request, as this one gets it: with its own id.
fn answer_of(share: &Share, answer: &Bytes) -> Result<Reply, Error> {
    let (_, division) = infermesh_rest::coalesce::merge(std::slice::from_ref(share))
        .map_err(|alone| Error::internal(alone.to_string()))?;
    let mut divided = division.divide(answer)?;
    let own = divided.pop().ok_or_else(|| Error::internal("an answer for nobody"))?;
    Ok(Reply::Message(joined(own).slice(PREFIX..)))
}

/// The pieces in one, without a copy if there is but one.
pub fn joined(pieces: Pieces) -> Bytes {
    let mut pieces = pieces.into_iter();
    let (Some(first), rest) = (pieces.next(), pieces) else { return Bytes::new() };
    let rest: Vec<Bytes> = rest.collect();
    if rest.is_empty() {
        return first;
    }
    let mut whole = BytesMut::with_capacity(first.len() + rest.iter().map(Bytes::len).sum::<usize>());
    whole.extend_from_slice(&first);
    rest.iter().for_each(|piece| whole.extend_from_slice(piece));
    whole.freeze()
}

/// The message without its length; `None` if it is compressed or not one message.
fn unframed(pieces: &Pieces) -> Option<Bytes> {
    let mut whole = joined(pieces.clone());
    if whole.len() < PREFIX || whole.get_u8() != 0 {
        return None;
    }
    (whole.get_u32() as usize == whole.len()).then_some(whole)
}

/// As gRPC sends a message. Fails with RESOURCE_EXHAUSTED for one whose length has no place there.
pub fn framed(message: Bytes) -> Result<Pieces, Error> {
    u32::try_from(message.len()).map_err(|_| too_large(message.len(), u32::MAX as usize))?;
    Ok(prefixed(message))
}

fn prefixed(message: Bytes) -> Pieces {
    let mut prefix = BytesMut::with_capacity(PREFIX);
    prefix.put_u8(0);
    prefix.put_u32(message.len() as u32);
    Pieces::from_iter([prefix.freeze(), message])
}
