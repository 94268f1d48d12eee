//! A call of the proxy's own: one message there, one back.

use super::forward;
use crate::{
    answer::Answer,
    body::{Body, Piece},
    call::{Call, within},
    headers::{GRPC_ENCODING, GRPC_MESSAGE, grpc_status},
    upstream::cluster::Cluster,
    watch::Watch,
};
use bytes::{Buf, Bytes, BytesMut};
use http::{
    HeaderMap, HeaderValue, Method, Request, Uri, Version,
    header::{CONTENT_TYPE, HOST, TE},
    request::Parts,
};
use infermesh_wire::{
    Code, Error,
    framing::{Encoding, PREFIX, decode_message, too_large},
    response::Pieces,
};
use std::{future::poll_fn, pin::pin, sync::Arc};

/// What a server says.
pub enum Reply {
    /// A serialised message, without its length.
    Message(Bytes),
    /// A status that is not 0, as it was given.
    Refused { code: u32, message: String },
}

/// Calls a method of a cluster, with the policies of the call's route and until its deadline. `headers` go with it;
/// `message` is length-prefixed.
///
/// Fails if there was no answer, or none that gRPC knows.
pub async fn ask(
    call: &Call<'_>,
    cluster: &Arc<Cluster>,
    path: &'static str,
    headers: HeaderMap,
    message: Pieces,
) -> Result<Reply, Error> {
    let call = Call { grpc: true, route: call.route.clone(), turn: call.turn.clone(), ..*call };
    let mut watch = Box::new(Watch::aside(call.origin, &call.route));
    let head = Box::new(head(cluster, path, headers));
    let body = Body::Own(message.into_iter().collect());
    let response = {
        let sent = pin!(forward::send(&call, cluster, head, body, &mut watch));
        within(call.deadline, sent).await?
    };
    watch.answered(&response);
    let (head, body) = response.into_parts();
    let mut answer = Answer::new(body, true, call.deadline.at().map(Into::into), watch);
    let (mut received, mut trailers) = (Received::default(), HeaderMap::new());
    let limit = call.local.shared.max_message;
    while let Some(piece) = poll_fn(|context| answer.poll(context)).await {
        match piece.map_err(|lost| Error::new(Code::Unavailable, lost.why))? {
            Piece::Data(data) => {
                answer.release(data.len());
                received.push(data, limit)?;
            }
            Piece::Trailers(last) => trailers = last,
        }
    }
    if let Some(turn) = &call.turn {
        turn.hears(&mut trailers);
    }
    match grpc_status(&head.headers).map(|status| (status, &head.headers)) {
        Some(found) => Some(found),
        None => grpc_status(&trailers).map(|status| (status, &trailers)),
    }
    .map_or_else(
        || {
            let said = format!("the upstream answered with HTTP {} and no gRPC status", head.status.as_u16());
            Err(Error::new(Code::Unavailable, said))
        },
        |(status, headers)| match status {
            0 => received.message(&head.headers, limit).map(Reply::Message),
            code => {
                let message = headers.get(GRPC_MESSAGE).map_or(&b""[..], HeaderValue::as_bytes);
                Ok(Reply::Refused { code: code.into(), message: decode_message(message) })
            }
        },
    )
}

fn head(cluster: &Cluster, path: &'static str, headers: HeaderMap) -> Parts {
    let (mut head, ()) = Request::new(()).into_parts();
    head.method = Method::POST;
    head.version = Version::HTTP_2;
    head.uri = Uri::from_static(path);
    head.headers = headers;
    head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    head.headers.insert(TE, HeaderValue::from_static("trailers"));
    if let Ok(authority) = HeaderValue::from_str(&cluster.authority) {
        head.headers.insert(HOST, authority);
    }
    head
}

/// The bytes of an answer, in one piece if they came in one.
#[derive(Default)]
struct Received {
    first: Bytes,
    rest: BytesMut,
}

impl Received {
    fn push(&mut self, data: Bytes, limit: usize) -> Result<(), Error> {
        let size = self.first.len() + self.rest.len() + data.len();
        if size > limit.saturating_add(PREFIX) {
            return Err(too_large(size, limit));
        }
        if self.first.is_empty() && self.rest.is_empty() {
            self.first = data;
        } else {
            if self.rest.is_empty() {
                self.rest.extend_from_slice(&std::mem::take(&mut self.first));
            }
            self.rest.extend_from_slice(&data);
        }
        Ok(())
    }

    /// The one message of a unary answer, inflated.
    fn message(self, headers: &HeaderMap, limit: usize) -> Result<Bytes, Error> {
        let wrong = |why: &str| Error::internal(format!("the upstream's answer is not gRPC: {why}"));
        let mut bytes = if self.rest.is_empty() { self.first } else { self.rest.freeze() };
        if bytes.len() < PREFIX {
            return Err(wrong("it has no message"));
        }
        let (compressed, length) = (bytes.get_u8(), bytes.get_u32() as usize);
        if length != bytes.len() {
            return Err(wrong("its message has not the length that it says"));
        }
        match compressed {
            0 => Ok(bytes),
            1 => {
                let name = headers.get(GRPC_ENCODING).and_then(|name| name.to_str().ok()).unwrap_or_default();
                Encoding::parse(name)?.decompress(&bytes, limit)
            }
            _ => Err(wrong("its compressed-flag is neither 0 nor 1")),
        }
    }
}
