//! One HTTP/2 connection of a client: its limits, its requests, its life and its end.

use crate::{
    budget::Purse,
    connections::Connections,
    lazy::Lazy,
    peer::{
        guard::Guard,
        life::{FAREWELL, Life, Order},
        rules::Rules,
        tally::Tally,
    },
};
use bytes::Buf;
use h2::{
    Ping, PingPong, Reason, RecvStream,
    server::{Connection, SendResponse},
};
use http::Request;
use std::{
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, Interval, Sleep, interval, sleep_until, timeout},
};

/// A client that connects must speak HTTP/2 within this time.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Requests under way on one connection.
const MAX_STREAMS: u32 = 2048;

/// Unread bytes that a client may send ahead, for one request and in all. A 4 MB tensor needs no pause.
const STREAM_WINDOW: u32 = 8 << 20;
const CONNECTION_WINDOW: u32 = 32 << 20;

/// A larger frame saves a copy: a message that fits one frame is used where it was received.
const MAX_FRAME: u32 = 1 << 20;

/// Of a request, as they are when decoded.
const MAX_HEADER_BYTES: u32 = 16 << 10;

/// Bytes of one request's answer that may wait in the connection's buffer.
const SEND_BUFFER: usize = 4 << 20;

/// Streams that a client gave up before they were accepted, and streams that were reset because of its errors.
const MAX_PENDING_RESETS: usize = 20;
const MAX_ERROR_RESETS: usize = 1024;

/// Serves until the client leaves, the process drains, or the rules of connections end it. `answer` gets each request
/// as it comes, and must not wait.
pub async fn serve<B: Buf>(
    connections: &Connections,
    rules: &Rules,
    purse: Rc<Purse>,
    peer: &str,
    io: impl AsyncRead + AsyncWrite + Unpin,
    mut answer: impl FnMut(Request<RecvStream>, SendResponse<B>, &Rc<Tally>),
) -> io::Result<()> {
    let tally = Tally::new(purse);
    let socket = Lazy::new(io);
    let guard = Guard::new(socket.clone(), tally.clone(), rules);
    let mut drain = pin!(connections.drained());
    let mut handshake = pin!(timeout(HANDSHAKE_TIMEOUT, builder().handshake::<_, B>(guard)));
    let handshake = poll_fn(|context| {
        let shaken = handshake.as_mut().poll(context);
        // The first words of HTTP/2: whoever speaks something else sees by them where it has come to.
        let _ = socket.poll_end_of_turn(context);
        shaken
    });
    let mut connection = tokio::select! {
        handshake = handshake => match handshake {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(io::Error::other(error)),
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        },
        () = &mut drain => return Ok(()),
    };

    let mut care = Care::new(Life::new(Instant::now(), rules.clone()), connection.ping_pong());
    let mut draining = true;
    let mut turn = |context: &mut Context<'_>| {
        if draining && drain.as_mut().poll(context).is_ready() {
            draining = false;
            care.retire(&mut connection);
        }
        loop {
            while let Poll::Ready(accepted) = connection.poll_accept(context) {
                match accepted {
                    Some(Ok((request, respond))) => answer(request, respond, &tally),
                    Some(Err(error)) => {
                        if error.reason() == Some(Reason::ENHANCE_YOUR_CALM) {
                            connections.complain(ABUSE, format!("{peer} was cut off: {error}"), peer);
                        }
                        return Poll::Ready(());
                    }
                    None => return Poll::Ready(()),
                }
            }
            tally.idle.set(!connection.has_streams());
            match care.turn(context, &mut connection, &tally) {
                Turn::Again => {}
                Turn::Rest => return Poll::Pending,
                Turn::Condemned(verdict) => {
                    connections.complain(ABUSE, format!("{peer} is cut off: {verdict}"), peer);
                }
                Turn::Over(why) => {
                    if let Some(why) = why {
                        connections.complain("connection-cut", format!("{peer} was cut off: {why}"), peer);
                    }
                    return Poll::Ready(());
                }
            }
        }
    };
    poll_fn(|context| {
        let turn = turn(context);
        // An error is the connection's next; and at its end it gets what the peer takes without a wait.
        let _ = socket.poll_end_of_turn(context);
        turn
    })
    .await;
    Ok(())
}

/// A peer that does more of something than anybody needs.
const ABUSE: &str = "connection-abused";

fn builder() -> h2::server::Builder {
    let mut builder = h2::server::Builder::new();
    builder
        .max_concurrent_streams(MAX_STREAMS)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(MAX_FRAME)
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_send_buffer_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(Some(MAX_ERROR_RESETS));
    builder
}

/// Sees to what a connection needs from time to time.
struct Care {
    life: Life,
    pings: Option<PingPong>,
    /// When to look again.
    alarm: Pin<Box<Sleep>>,
    farewell: Option<Interval>,
    condemned: bool,
}

enum Turn {
    /// The connection has something to do.
    Again,
    Rest,
    /// Its peer has done too much of this.
    Condemned(&'static str),
    /// It ends; for this reason, unless it is its time.
    Over(Option<&'static str>),
}

impl Care {
    fn new(life: Life, pings: Option<PingPong>) -> Self {
        let alarm = Box::pin(sleep_until(Instant::now()));
        Self { life, pings, alarm, farewell: None, condemned: false }
    }

    /// Asks the peer to leave when what is under way has ended.
    fn retire<T: AsyncRead + AsyncWrite + Unpin, B: Buf>(&mut self, connection: &mut Connection<T, B>) {
        connection.graceful_shutdown();
        let mut patience = interval(FAREWELL);
        patience.reset();
        self.farewell = Some(patience);
    }

    fn turn<T: AsyncRead + AsyncWrite + Unpin, B: Buf>(
        &mut self,
        context: &mut Context<'_>,
        connection: &mut Connection<T, B>,
        tally: &Tally,
    ) -> Turn {
        if let Some(patience) = &mut self.farewell {
            while patience.poll_tick(context).is_ready() {
                // A client that does not answer the farewell, and waits for nothing, is left.
                if !connection.has_streams() {
                    return Turn::Over(None);
                }
            }
        }
        let now = Instant::now();
        if !self.condemned
            && let Some(verdict) = tally.verdict.get()
        {
            // It gets the time to read why.
            self.condemned = true;
            self.alarm.as_mut().reset(now + FAREWELL);
            return Turn::Condemned(verdict);
        }
        while self.alarm.as_mut().poll(context).is_ready() {
            if self.condemned {
                return Turn::Over(None);
            }
            match self.life.next(now, tally.facts(connection.has_streams())) {
                Order::Wait(until) => self.alarm.as_mut().reset(until),
                Order::Retire => {
                    self.retire(connection);
                    return Turn::Again;
                }
                Order::Ping => {
                    if let Some(pings) = &mut self.pings {
                        // The answer to the one before, if there was one, makes way for the next.
                        let _ = pings.poll_pong(context);
                        let _ = pings.send_ping(Ping::opaque());
                    }
                    return Turn::Again;
                }
                Order::Close(why) => return Turn::Over(Some(why)),
            }
        }
        Turn::Rest
    }
}
