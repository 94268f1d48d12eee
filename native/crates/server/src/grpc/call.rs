//! One gRPC call over an HTTP/2 stream: messages in, messages and a status out.

use crate::{
    inference::{infer::deadline, timing},
    memory::buffers::Buffer,
};
use bytes::{Buf, Bytes};
use h2::{RecvStream, SendStream, server::SendResponse};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header::CONTENT_TYPE};
use infermesh_transport::{
    budget::Hold,
    peer::tally::{Tally, Unsent},
};
use infermesh_wire::{
    Code, Error, OVERLOAD,
    framing::{ACCEPTED_ENCODINGS, Encoding, PREFIX, encode_message, too_large},
    response::Pieces,
};
use std::{
    future::{Future, poll_fn},
    io::IoSlice,
    pin::Pin,
    rc::Rc,
    task::Poll,
    time::{Duration, Instant},
};
use tokio::time::{sleep_until, timeout};

const GRPC_STATUS: &str = "grpc-status";
const GRPC_MESSAGE: &str = "grpc-message";

/// The rest of a message that has begun comes within this time, piece by piece.
const PAUSE_LIMIT: Duration = Duration::from_secs(30);

/// Memory that is accounted for at once for a message in several pieces.
const FIRST_HOLD: usize = 4 << 20;

/// A message on its way out, in the pieces it was written in.
#[derive(Default)]
pub struct Body {
    pieces: Pieces,
    first: usize,
    unsent: Option<Unsent>,
}

impl From<Pieces> for Body {
    fn from(pieces: Pieces) -> Self {
        Self { pieces, first: 0, unsent: None }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self { pieces: Pieces::from_iter([bytes]), first: 0, unsent: None }
    }
}

impl Buf for Body {
    fn remaining(&self) -> usize {
        self.pieces[self.first..].iter().map(Bytes::len).sum()
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.get(self.first).map_or(&[], |piece| piece)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let pieces = self.pieces[self.first..].iter();
        slices.iter_mut().zip(pieces).map(|(slice, piece)| *slice = IoSlice::new(piece)).count()
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(piece) = self.pieces.get_mut(self.first) {
            if count < piece.len() {
                piece.advance(count);
                return;
            }
            count -= piece.len();
            *piece = Bytes::new();
            self.first += 1;
        }
    }
}

/// What a request's headers say.
pub struct Call {
    pub uri: Uri,
    pub headers: HeaderMap,
    pub deadline: Option<Instant>,
    method: Method,
    body: RecvStream,
    respond: SendResponse<Body>,
    tally: Rc<Tally>,
}

/// The one answer of a call.
pub struct Answered {
    pub body: Body,
    /// How long the request waited in its model's queue, if that is to be told.
    pub queued: Option<Duration>,
}

impl From<Body> for Answered {
    fn from(body: Body) -> Self {
        Self { body, queued: None }
    }
}

/// How a call's work ended.
pub enum End<T> {
    Done(T),
    /// The client reset the stream: nobody listens.
    Gone,
}

impl Call {
    pub fn new(request: Request<RecvStream>, respond: SendResponse<Body>, tally: Rc<Tally>) -> Self {
        let (parts, body) = request.into_parts();
        Self {
            uri: parts.uri,
            deadline: deadline(&parts.headers),
            headers: parts.headers,
            method: parts.method,
            body,
            respond,
            tally,
        }
    }

    /// What HTTP itself has to say against the request.
    pub fn http_error(&self) -> Option<StatusCode> {
        if self.method != Method::POST {
            return Some(StatusCode::METHOD_NOT_ALLOWED);
        }
        let content_type = self.headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        match content_type.strip_prefix(b"application/grpc") {
            Some([] | [b'+' | b';', ..]) => None,
            _ => Some(StatusCode::UNSUPPORTED_MEDIA_TYPE),
        }
    }

    pub fn reject_http(mut self, status: StatusCode) {
        let mut response = Response::new(());
        *response.status_mut() = status;
        // The client may be gone already; then there is nobody to tell, here and in every send below.
        let _ = self.respond.send_response(response, true);
    }

    /// The messages that arrive, and where to answer. Fails with UNIMPLEMENTED for an unknown compression.
    pub fn open(self, limit: usize) -> Result<(Messages, Reply), (Error, Reply)> {
        let hold = Hold::none(&self.tally.purse);
        let reply = Reply { respond: self.respond, stream: None, deadline: self.deadline, tally: self.tally };
        let encoding = match self.headers.get("grpc-encoding").map(|value| value.to_str()) {
            None => Ok(Encoding::Identity),
            Some(Ok(name)) => Encoding::parse(name),
            Some(Err(_)) => Encoding::parse("?"),
        };
        match encoding {
            Ok(encoding) => {
                let (rest, partial) = (Bytes::new(), None);
                Ok((Messages { body: self.body, encoding, limit, rest, partial, hold }, reply))
            }
            Err(error) => Err((error, reply)),
        }
    }
}

/// The length-prefixed messages of a request.
pub struct Messages {
    body: RecvStream,
    encoding: Encoding,
    limit: usize,
    /// Received, not yet consumed.
    rest: Bytes,
    partial: Option<Partial>,
    /// The memory of the message that was taken last.
    hold: Hold,
}

impl Messages {
    /// The memory of the message that was taken last, to be kept until it is answered; else it counts until the next.
    pub fn take_hold(&mut self) -> Hold {
        self.hold.take()
    }

    /// The one message of a unary call.
    pub async fn only(&mut self) -> Result<Bytes, Error> {
        let message = self.next().await?.ok_or_else(|| Error::invalid("the request has no message"))?;
        if self.rest.is_empty() {
            return Ok(message);
        }
        Err(Error::invalid("the request of a unary call has more than one message"))
    }

    /// The next message, `None` at the end. A message that arrived in one frame is a slice of it. Every wait leaves
    /// what was received in `self`: a caller that stops waiting may ask again.
    ///
    /// Fails with INVALID_ARGUMENT (malformed or cut short), RESOURCE_EXHAUSTED (over the limit, or no memory is left)
    /// or CANCELLED.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let partial = match self.partial.take() {
            Some(partial) => partial,
            None => {
                let Some((flag, length)) = self.prefix().await? else { return Ok(None) };
                self.hold.release();
                self.hold.check(length)?;
                if length <= self.rest.len() {
                    self.hold.grow(length)?;
                    let message = self.rest.split_to(length);
                    return self.inflated(flag, message).map(Some);
                }
                let mut buffer = Buffer::new(length);
                buffer.extend_from_slice(&std::mem::take(&mut self.rest));
                let held = buffer.len();
                self.hold.grow(held)?;
                Partial { flag, length, buffer, held }
            }
        };
        // Rare enough to be apart: a task is as large as all that it may hold.
        let Partial { flag, buffer, .. } = Box::pin(self.assemble(partial)).await?;
        self.inflated(flag, buffer.freeze()).map(Some)
    }

    /// The compressed-flag and the length of the message that follows.
    async fn prefix(&mut self) -> Result<Option<(u8, usize)>, Error> {
        while self.rest.len() < PREFIX {
            match receive(&mut self.body).await? {
                Some(chunk) if self.rest.is_empty() => self.rest = chunk,
                Some(chunk) => self.rest = [&self.rest[..], &chunk[..]].concat().into(),
                None if self.rest.is_empty() => return Ok(None),
                None => return Err(Error::invalid("the request ends within a message prefix")),
            }
        }
        let (flag, length) = (self.rest.get_u8(), self.rest.get_u32() as usize);
        if length > self.limit {
            return Err(too_large(length, self.limit));
        }
        Ok(Some((flag, length)))
    }

    async fn assemble(&mut self, partial: Partial) -> Result<Partial, Error> {
        let kept = self.partial.insert(partial);
        while kept.buffer.len() < kept.length {
            let Ok(received) = timeout(PAUSE_LIMIT, receive(&mut self.body)).await else {
                return Err(Error::new(
                    Code::Cancelled,
                    "the request was not received whole: the client sends nothing",
                ));
            };
            let Some(mut chunk) = received? else {
                return Err(Error::invalid(format!(
                    "the request ends within a message: got {} of {} bytes",
                    kept.buffer.len(),
                    kept.length
                )));
            };
            let here = chunk.split_to(chunk.len().min(kept.length - kept.buffer.len()));
            if kept.buffer.len() + here.len() > kept.held {
                // As the buffer grows: by doubling, up to what was announced.
                let more = here.len().max(kept.held).max(FIRST_HOLD).min(kept.length - kept.held);
                self.hold.grow(more)?;
                kept.held += more;
            }
            kept.buffer.extend_from_slice(&here);
            self.rest = chunk;
        }
        self.partial.take().ok_or_else(|| Error::internal("a message vanished while it was received"))
    }

    fn inflated(&mut self, flag: u8, message: Bytes) -> Result<Bytes, Error> {
        match flag {
            0 => Ok(message),
            1 => {
                let inflated = self.encoding.decompress(&message, self.limit)?;
                self.hold.grow(inflated.len())?;
                Ok(inflated)
            }
            _ => Err(Error::invalid(format!(
                "the request is not gRPC: compressed-flag {flag} is neither 0 nor 1"
            ))),
        }
    }
}

/// A message that spans frames, as far as it has arrived.
struct Partial {
    flag: u8,
    length: usize,
    buffer: Buffer,
    /// Bytes that are accounted for.
    held: usize,
}

async fn receive(body: &mut RecvStream) -> Result<Option<Bytes>, Error> {
    match poll_fn(|context| body.poll_data(context)).await {
        None => Ok(None),
        Some(Ok(chunk)) => {
            // Fails only on a stream that is gone, which the next read reports.
            let _ = body.flow_control().release_capacity(chunk.len());
            Ok(Some(chunk))
        }
        Some(Err(error)) => {
            Err(Error::new(Code::Cancelled, format!("the request was not received whole: {error}")))
        }
    }
}

/// The answering half of a call.
pub struct Reply {
    respond: SendResponse<Body>,
    stream: Option<SendStream<Body>>,
    deadline: Option<Instant>,
    tally: Rc<Tally>,
}

impl Reply {
    /// Runs `work` until it is done, the deadline passes (DEADLINE_EXCEEDED) or the client gives up. It stays where it is:
    /// futures are large, and this is at the bottom of each.
    pub async fn guard<T>(
        &mut self,
        mut work: Pin<&mut impl Future<Output = Result<T, Error>>>,
    ) -> End<Result<T, Error>> {
        let mut expiry = self.deadline.map(|deadline| Box::pin(sleep_until(deadline.into())));
        poll_fn(|context| {
            if let Poll::Ready(result) = work.as_mut().poll(context) {
                return Poll::Ready(End::Done(result));
            }
            if let Some(expiry) = &mut expiry
                && expiry.as_mut().poll(context).is_ready()
            {
                return Poll::Ready(End::Done(Err(Error::deadline_exceeded())));
            }
            let reset = match &mut self.stream {
                Some(stream) => stream.poll_reset(context),
                None => self.respond.poll_reset(context),
            };
            if reset.is_ready() { Poll::Ready(End::Gone) } else { Poll::Pending }
        })
        .await
    }

    /// When the client stops waiting.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Ends a call of one answer.
    pub fn end(mut self, end: End<Result<Answered, Error>>) {
        match end {
            End::Done(Ok(Answered { body, queued })) => {
                self.send(body);
                let mut trailers = ok();
                if let Some(queued) = queued {
                    timing::tell(&mut trailers, queued);
                }
                self.finish(trailers);
            }
            End::Done(Err(error)) => self.close(Err(error)),
            End::Gone => {}
        }
    }

    /// Sends one message now, whatever the client's window; for unary calls, which have one.
    fn send(&mut self, mut body: Body) {
        body.unsent = Some(Unsent::new(&self.tally, body.remaining()));
        if let Some(stream) = self.headers() {
            let _ = stream.send_data(body, false);
        }
    }

    /// Sends one message of a stream once the client has read what was sent before. False if the client is gone.
    pub async fn send_when_read(&mut self, mut body: Body) -> bool {
        let tally = self.tally.clone();
        let Some(stream) = self.headers() else { return false };
        stream.reserve_capacity(body.remaining().clamp(1, 16 << 10));
        while stream.capacity() == 0 {
            match poll_fn(|context| stream.poll_capacity(context)).await {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return false,
            }
        }
        body.unsent = Some(Unsent::new(&tally, body.remaining()));
        stream.send_data(body, false).is_ok()
    }

    /// Starts a stream of answers, so that the client sees the call accepted.
    pub fn headers(&mut self) -> Option<&mut SendStream<Body>> {
        if self.stream.is_none() {
            self.stream = self.respond.send_response(head(HeaderMap::with_capacity(2)), false).ok();
        }
        self.stream.as_mut()
    }

    /// Ends the call with a status: in trailers, or alone in the headers if nothing was sent.
    pub fn close(self, outcome: Result<(), Error>) {
        self.finish(outcome.map_or_else(|error| failed(&error), |()| ok()));
    }

    fn finish(mut self, status: HeaderMap) {
        let _ = match &mut self.stream {
            Some(stream) => stream.send_trailers(status),
            None => self.respond.send_response(head(status), true).map(drop),
        };
    }
}

fn ok() -> HeaderMap {
    let mut status = HeaderMap::with_capacity(4);
    status.insert(GRPC_STATUS, HeaderValue::from_static("0"));
    status
}

fn failed(error: &Error) -> HeaderMap {
    let mut status = HeaderMap::with_capacity(4);
    status.insert(GRPC_STATUS, HeaderValue::from(error.code as u16));
    if let Ok(message) = HeaderValue::try_from(encode_message(&error.message)) {
        status.insert(GRPC_MESSAGE, message);
    }
    if error.is_busy() {
        status.insert(OVERLOAD, HeaderValue::from_static("1"));
    }
    if error.code == Code::Unimplemented {
        status.insert("grpc-accept-encoding", HeaderValue::from_static(ACCEPTED_ENCODINGS));
    }
    status
}

fn head(mut headers: HeaderMap) -> Response<()> {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    let mut response = Response::new(());
    *response.headers_mut() = headers;
    response
}
