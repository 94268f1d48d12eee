//! Requests of an HTTP/2 connection, each answered on a task of its own.

use super::Door;
use crate::{
    answer::Answer,
    body::{Body, Piece},
    call,
    shared::Local,
};
use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, server::SendResponse};
use http::{Request, Response};
use infermesh_transport::{
    budget::Hold,
    peer::tally::{Parcel, Tally},
};
use std::{
    future::poll_fn,
    pin::{Pin, pin},
    rc::Rc,
    task::Poll,
    time::Instant,
};
use tokio::task::spawn_local;

/// Answers one request. What is under way for it ends with it, if the client gives it up.
pub fn answer(
    local: &Rc<Local>,
    door: &Rc<Door>,
    request: Request<RecvStream>,
    respond: SendResponse<Parcel>,
    tally: &Rc<Tally>,
) {
    let (local, door, tally) = (local.clone(), door.clone(), tally.clone());
    let (head, body) = request.into_parts();
    // A task is moved several times until it lies where it runs, and so as little as can be is a part of it.
    let head = Box::new(head);
    spawn_local(async move {
        let work = pin!(call::handle(&local, &door, head, Body::Http2(body)));
        write(work, respond, &Reader { local: &local, peer: &door.peer.name, tally: &tally }).await;
    });
}

/// Whoever takes an answer.
struct Reader<'a> {
    local: &'a Local,
    peer: &'a str,
    tally: &'a Rc<Tally>,
}

async fn write(
    mut work: Pin<&mut impl Future<Output = Response<Answer>>>,
    mut respond: SendResponse<Parcel>,
    reader: &Reader<'_>,
) {
    let answered = poll_fn(|context| {
        if let Poll::Ready(response) = work.as_mut().poll(context) {
            return Poll::Ready(Some(response));
        }
        respond.poll_reset(context).map(|_| None)
    });
    let Some(response) = answered.await else { return };
    let (head, mut answer) = response.into_parts();
    let ends = answer.is_end();
    // The client may be gone already; then there is nobody to tell, here and in every send below.
    let Ok(mut stream) = respond.send_response(Response::from_parts(head, ()), ends) else { return };
    if ends {
        return;
    }
    loop {
        let next = poll_fn(|context| {
            if let Poll::Ready(piece) = answer.poll(context) {
                return Poll::Ready(Ok(piece));
            }
            stream.poll_reset(context).map(Err)
        });
        let Ok(piece) = next.await else { return };
        match piece {
            Some(Ok(Piece::Data(data))) => {
                let size = data.len();
                if push(&mut stream, data, &mut answer, reader).await.is_none() {
                    return;
                }
                answer.release(size);
                if answer.is_end() {
                    return;
                }
            }
            Some(Ok(Piece::Trailers(trailers))) => {
                let _ = stream.send_trailers(trailers);
                return;
            }
            Some(Err(_)) => return stream.send_reset(Reason::INTERNAL_ERROR),
            None => {
                let _ = stream.send_data(Parcel::new(reader.tally, Bytes::new()), true);
                return;
            }
        }
    }
}

/// Sends a piece of an answer as the client takes it. `None` if it takes no more.
async fn push(
    stream: &mut SendStream<Parcel>,
    mut data: Bytes,
    answer: &mut Answer,
    reader: &Reader<'_>,
) -> Option<()> {
    let ends = answer.is_end();
    loop {
        stream.reserve_capacity(data.len());
        let room = match stream.capacity() {
            0 if !data.is_empty() => room(stream, answer, reader).await?,
            room => room,
        };
        let now = data.split_to(room.min(data.len()));
        let last = data.is_empty();
        stream.send_data(Parcel::new(reader.tally, now), last && ends).ok()?;
        if last {
            return Some(());
        }
    }
}

/// Waits until the client takes more. `None` if it does not: it may have left, its time may be over, or its memory be needed
/// for others.
async fn room(stream: &mut SendStream<Parcel>, answer: &mut Answer, reader: &Reader<'_>) -> Option<usize> {
    let Reader { local, peer, tally } = reader;
    let place = local.stalled.enter(Instant::now(), Hold::of(&tally.purse, answer.ahead()));
    let waited = poll_fn(|context| {
        if answer.poll_expired(context).is_ready() {
            return Poll::Ready(Err(Reason::CANCEL));
        }
        if place.poll_evicted(context).is_ready() {
            return Poll::Ready(Err(Reason::ENHANCE_YOUR_CALM));
        }
        stream.poll_capacity(context).map(Ok)
    });
    match waited.await {
        Ok(room) => room?.ok(),
        Err(reason) => {
            if reason == Reason::ENHANCE_YOUR_CALM {
                let said =
                    format!("{peer} takes nothing of an answer that holds memory others need: it is cut off");
                local.shared.connections.complain("answer-cut", said, peer);
            }
            stream.send_reset(reason);
            None
        }
    }
}
