//! A body on its way through, whatever carries it.

use crate::{capture::Passing, headers::GRPC_STATUS};
use bytes::Bytes;
use h2::RecvStream;
use http::{HeaderMap, HeaderValue};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use infermesh_policy::Event;
use std::{
    any::Any,
    collections::VecDeque,
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::spawn_local,
    time::timeout,
};

/// How long, and for how much, a body is read that nobody wants. Over HTTP/1.1 there is no other way to let a client be the
/// first to end: as long as it writes it does not read, and a connection that is closed over unread bytes takes the answer
/// with it.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 1 << 20;
const LINGER_HTTP1: Duration = Duration::from_secs(2);
const LINGER_BYTES_HTTP1: usize = 64 << 20;

/// What comes out of a body: bytes, and at its end perhaps trailers.
#[derive(Debug)]
pub enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
}

/// A body that does not come to its end.
#[derive(Debug, Clone)]
pub struct Lost {
    pub why: String,
    pub cause: Cause,
}

/// Whose doing it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Its sender has given it up, or is gone.
    Sender,
    /// Its sender says that nothing was done with the request.
    Refused,
    /// Its sender leaves the connection, and says that nothing was done with the request: on another one it may be.
    Left,
    /// We have given it up, as whoever wanted it did.
    Ours,
}

impl From<Cause> for Event {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::Sender => Self::Reset,
            Cause::Refused | Cause::Left => Self::Refused,
            Cause::Ours => Self::GivenUp,
        }
    }
}

impl Lost {
    pub fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), cause: Cause::Sender }
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for Lost {}

impl From<h2::Error> for Lost {
    fn from(error: h2::Error) -> Self {
        let cause = match error.reason() {
            _ if error.is_reset() && !error.is_remote() && !error.is_library() => Cause::Ours,
            Some(h2::Reason::REFUSED_STREAM) => Cause::Refused,
            Some(h2::Reason::NO_ERROR) if error.is_go_away() && error.is_remote() => Cause::Left,
            _ => Cause::Sender,
        };
        Self { why: error.to_string(), cause }
    }
}

impl From<hyper::Error> for Lost {
    fn from(error: hyper::Error) -> Self {
        // hyper's own words are short; the reason is below.
        let why = match std::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        let cause = if error.is_canceled() { Cause::Refused } else { Cause::Sender };
        Self { why, cause }
    }
}

/// Where the bytes come from.
#[derive(Debug, Default)]
pub enum Body {
    #[default]
    Empty,
    /// Made here, in the buffers it was made in.
    Own(VecDeque<Bytes>),
    /// One gRPC message of our own, and the status that says that all is well.
    Message(VecDeque<Bytes>),
    /// Nothing but trailers.
    Trailers(Box<HeaderMap>),
    Http1(Incoming),
    Http2(RecvStream),
    /// The first piece has been looked at.
    Begun(Bytes, RecvStream),
    /// Of a request that is kept while it passes.
    Kept(Box<(Body, Passing)>),
    /// None: the connection itself is the answer.
    Tunnel(Tunnel),
}

/// A connection to an upstream on which HTTP is no longer spoken.
pub struct Tunnel {
    pub io: Box<dyn Io>,
    /// What came after the answer.
    pub early: Bytes,
    _place: Box<dyn Any>,
}

impl Tunnel {
    /// `place`: held for as long as this lives.
    pub fn new(io: impl Io, early: Bytes, place: impl Any) -> Self {
        Self { io: Box::new(io), early, _place: Box::new(place) }
    }
}

/// Bytes in both directions.
pub trait Io: AsyncRead + AsyncWrite + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + 'static> Io for T {}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel").field("early", &self.early.len()).finish_non_exhaustive()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() { Self::Empty } else { Self::Own(VecDeque::from([bytes])) }
    }
}

impl Body {
    /// The answer of a unary call that went well.
    pub fn message(pieces: impl IntoIterator<Item = Bytes>) -> Self {
        Self::Message(pieces.into_iter().collect())
    }

    /// What comes out of it is kept, too.
    pub fn kept(self, passing: Passing) -> Self {
        Self::Kept(Box::new((self, passing)))
    }

    /// Whether it comes from a peer, rather than being made here.
    pub fn is_foreign(&self) -> bool {
        !matches!(self, Self::Empty | Self::Own(_) | Self::Message(_) | Self::Trailers(_))
    }

    /// The next piece; `None` at the end. After a wait of `Pending` the body wakes whoever polled it last.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Piece, Lost>>> {
        match self {
            Self::Empty | Self::Tunnel(_) => Poll::Ready(None),
            Self::Message(pieces) => Poll::Ready(Some(Ok(match pieces.pop_front() {
                Some(piece) => Piece::Data(piece),
                None => {
                    *self = Self::Empty;
                    Piece::Trailers(HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from_static("0"))]))
                }
            }))),
            Self::Trailers(trailers) => {
                let trailers = std::mem::take(&mut **trailers);
                *self = Self::Empty;
                Poll::Ready(Some(Ok(Piece::Trailers(trailers))))
            }
            Self::Begun(..) => {
                let Self::Begun(first, stream) = std::mem::take(self) else { return Poll::Ready(None) };
                *self = Self::Http2(stream);
                Poll::Ready(Some(Ok(Piece::Data(first))))
            }
            Self::Own(pieces) => Poll::Ready(pieces.pop_front().map(|piece| Ok(Piece::Data(piece)))),
            Self::Http1(incoming) => {
                let frame = ready!(Pin::new(incoming).poll_frame(context));
                Poll::Ready(frame.map(|frame| match frame?.into_data() {
                    Ok(data) => Ok(Piece::Data(data)),
                    Err(frame) => Ok(Piece::Trailers(frame.into_trailers().unwrap_or_default())),
                }))
            }
            Self::Http2(stream) => {
                if let Some(data) = ready!(stream.poll_data(context)) {
                    return Poll::Ready(Some(data.map(Piece::Data).map_err(Lost::from)));
                }
                let trailers = ready!(stream.poll_trailers(context)).map_err(Lost::from);
                Poll::Ready(trailers.transpose().map(|trailers| trailers.map(Piece::Trailers)))
            }
            Self::Kept(kept) => {
                let (body, passing) = &mut **kept;
                let piece = ready!(body.poll(context));
                if let Some(Ok(Piece::Data(data))) = &piece {
                    passing.asks(data);
                }
                Poll::Ready(piece)
            }
        }
    }

    /// Whether it is known that nothing more comes.
    pub fn is_end(&self) -> bool {
        match self {
            Self::Empty | Self::Tunnel(_) => true,
            Self::Message(_) | Self::Trailers(_) | Self::Begun(..) => false,
            Self::Own(pieces) => pieces.is_empty(),
            Self::Http1(incoming) => incoming.is_end_stream(),
            Self::Http2(stream) => stream.is_end_stream(),
            Self::Kept(kept) => kept.0.is_end(),
        }
    }

    /// Waits for the first piece of an upstream's answer, without taking it: whoever may still ask another upstream wants to
    /// know whether this one has anything to say. Trailers that come first are all there is.
    pub async fn begin(self) -> Result<Self, Lost> {
        let Self::Http2(mut stream) = self else { return Ok(self) };
        let first = poll_fn(|context| {
            Poll::Ready(match ready!(stream.poll_data(context)) {
                Some(data) => Ok(Some(data?)),
                None => Ok(None),
            })
        });
        if let Some(first) = first.await.map_err(|error: h2::Error| Lost::from(error))? {
            return Ok(Self::Begun(first, stream));
        }
        let trailers = poll_fn(|context| stream.poll_trailers(context)).await.map_err(Lost::from)?;
        Ok(trailers.map_or(Self::Empty, |trailers| Self::Trailers(Box::new(trailers))))
    }

    /// So many bytes have been passed on: their sender may send as many more.
    pub fn release(&mut self, bytes: usize) {
        match self {
            Self::Http2(stream) => {
                // Fails only on a stream that is gone, which the next read reports.
                let _ = stream.flow_control().release_capacity(bytes);
            }
            Self::Kept(kept) => kept.0.release(bytes),
            _ => {}
        }
    }

    /// Bytes that have come of it and have not been passed on.
    pub fn ahead(&mut self) -> usize {
        match self {
            Self::Http2(stream) | Self::Begun(_, stream) => stream.flow_control().used_capacity(),
            Self::Kept(kept) => kept.0.ahead(),
            _ => 0,
        }
    }

    pub fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty | Self::Tunnel(_) => SizeHint::with_exact(0),
            Self::Own(pieces) => SizeHint::with_exact(pieces.iter().map(|piece| piece.len() as u64).sum()),
            Self::Http1(incoming) => incoming.size_hint(),
            Self::Kept(kept) => kept.0.size_hint(),
            Self::Message(_) | Self::Trailers(_) | Self::Http2(_) | Self::Begun(..) => SizeHint::default(),
        }
    }
}

/// An answer may come before its request has been sent to the end: what is still on its way is read for a moment and thrown
/// away. Otherwise h2 would reset the stream, and take what comes then for an error of its peer, of which it bears a
/// thousand; and hyper would close the connection, which the client would have used again.
pub fn linger(body: Body) {
    let (mut body, limit, most) = match body {
        Body::Http1(_) => (body, LINGER_HTTP1, LINGER_BYTES_HTTP1),
        Body::Http2(_) => (body, LINGER, LINGER_BYTES),
        Body::Kept(kept) => return linger(kept.0),
        _ => return,
    };
    if body.is_end() {
        return;
    }
    spawn_local(timeout(limit, async move {
        let mut read = 0;
        while let Some(Ok(Piece::Data(data))) = poll_fn(|context| body.poll(context)).await {
            body.release(data.len());
            read += data.len();
            if read > most {
                break;
            }
        }
    }));
}

impl Piece {
    /// As hyper has it.
    pub fn into_frame(self) -> Frame<Bytes> {
        match self {
            Self::Data(data) => Frame::data(data),
            Self::Trailers(trailers) => Frame::trailers(trailers),
        }
    }
}
