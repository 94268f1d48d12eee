//! REST v2 and simple JSON from an app, gRPC to the servers.
//!
//! What the messages look like is the crate `rest`; here is who is asked for what, and when. `signatures` remembers what
//! models say of themselves.

pub mod signatures;

use crate::{
    body::Body,
    call::Call,
    infer,
    request::{
        unary::{self, Reply},
        whole,
    },
};
use http::{
    HeaderMap, HeaderName, Response,
    header::{
        ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST,
    },
    request::Parts,
};
use infermesh_rest::{
    Answer,
    header::HEADER_LENGTH,
    transcode::{Ask, INFER, Step, refused},
};
use infermesh_wire::Error;

/// What is about the body as the app wrote it, and so not about the message that is made of it.
const OF_THE_BODY: [HeaderName; 8] =
    [ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST];

/// Answers one request that is not gRPC.
pub async fn serve(call: &Call<'_>, head: Box<Parts>, body: Body) -> Result<Response<Body>, Error> {
    let ask = match Ask::of(&head.method, &head.uri, &head.headers) {
        Ok(ask) => ask,
        Err(answer) => return Ok(own(*answer)),
    };
    let whole = whole::receive(call, &head.headers, body, Some(call.origin)).await?;
    let headers = going_with(head.headers);
    let known = match (ask.needs_signature(), ask.inference()) {
        (true, Some((model, version))) => match signatures::of(call, model, version, &headers).await? {
            Ok(known) => Some(known),
            Err(refused) => return Ok(own(refused)),
        },
        _ => None,
    };
    let (made, hold) = (ask.call(whole.bytes, known.as_ref().map(|known| &known.signature))?, whole.hold);
    let answer = match made {
        Step::Answer(answer) => answer,
        Step::Call(made) => {
            let reply = match made.path {
                INFER => infer::ask(call, headers, made.message).await?,
                path => unary::ask(call, call.route.cluster.next(), path, headers, made.message).await?,
            };
            match reply {
                Reply::Message(message) => made.back.answer(message),
                Reply::Refused { code, message } => refused(code, &message),
            }
        }
    };
    drop(hold);
    Ok(own(answer))
}

/// An answer that was made here.
pub fn own(answer: Answer) -> Response<Body> {
    answer.map(|pieces| Body::Own(pieces.into_iter().filter(|piece| !piece.is_empty()).collect()))
}

/// Headers of a request that go with the call that is made of it: what they say of the caller, of the trace, of the app.
pub fn going_with(mut headers: HeaderMap) -> HeaderMap {
    for name in OF_THE_BODY {
        headers.remove(name);
    }
    headers.remove(HEADER_LENGTH);
    headers
}
