//! One connection, and gRPC on it: HTTP/2, its limits, its requests, its end.

use crate::{
    authority::Lenient,
    call::{Body, Call},
    http, route,
    thread::{Accepted, Local, Protocol, Stream},
};
use std::{
    future::{Future, poll_fn},
    io,
    pin::pin,
    rc::Rc,
    task::Poll,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, BufReader, BufWriter},
    net::{TcpStream, UnixStream},
    task::spawn_local,
    time::{interval, timeout},
};

/// A client that connects must speak HTTP/2 within this time.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// A client answers the end of its connection within this time, or has requests under way.
pub const FAREWELL: Duration = Duration::from_secs(1);

/// Requests under way on one connection.
const MAX_STREAMS: u32 = 2048;

/// Unread bytes that a client may send ahead, for one request and in all. A 4 MB tensor needs no pause.
const STREAM_WINDOW: u32 = 8 << 20;
const CONNECTION_WINDOW: u32 = 32 << 20;

/// A larger frame saves a copy: a message that fits one frame is used where it was received.
const MAX_FRAME: u32 = 1 << 20;

/// Bytes taken from the socket at once, and given to it: h2 by itself reads 8 KiB, and writes each frame alone. A large
/// tensor comes and goes in frames of 16 KiB.
const READ_BUFFER: usize = 128 << 10;
const WRITE_BUFFER: usize = 64 << 10;

const MAX_HEADER_BYTES: u32 = 16 << 10;

/// Bytes of one request's answer that may wait in the connection's buffer.
const SEND_BUFFER: usize = 4 << 20;

pub fn spawn(local: Rc<Local>, accepted: Accepted) {
    let alive = local.shared.connections.subscribe();
    spawn_local(async move {
        // An error ends this connection and no other; there is nobody left to tell.
        let _ = open(local, accepted).await;
        drop(alive);
    });
}

async fn open(local: Rc<Local>, Accepted { stream, protocol }: Accepted) -> io::Result<()> {
    match stream {
        Stream::Tcp(stream) => {
            stream.set_nodelay(true)?;
            let stream = BufWriter::with_capacity(WRITE_BUFFER, TcpStream::from_std(stream)?);
            serve(local, protocol, BufReader::with_capacity(READ_BUFFER, stream)).await
        }
        Stream::Unix(stream) => serve(local, protocol, Lenient::new(UnixStream::from_std(stream)?)).await,
    }
}

async fn serve(
    local: Rc<Local>,
    protocol: Protocol,
    io: impl AsyncRead + AsyncWrite + Unpin,
) -> io::Result<()> {
    match protocol {
        Protocol::Grpc => serve_grpc(local, io).await,
        Protocol::Rest => http::connection::serve(local, io, http::rest).await,
        Protocol::Metrics => http::connection::serve(local, io, http::metrics).await,
    }
}

async fn serve_grpc(local: Rc<Local>, io: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    let mut builder = h2::server::Builder::new();
    builder
        .max_concurrent_streams(MAX_STREAMS)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(MAX_FRAME)
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_send_buffer_size(SEND_BUFFER);
    let handshake = builder.handshake::<_, Body>(io);
    let mut draining = local.shared.draining.subscribe();
    let mut drain = pin!(async move { drop(draining.wait_for(|draining| *draining).await) });
    let mut connection = tokio::select! {
        handshake = timeout(HANDSHAKE_TIMEOUT, handshake) => match handshake {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(io::Error::other(error)),
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        },
        () = &mut drain => return Ok(()),
    };

    let mut farewell = None;
    poll_fn(|context| {
        if farewell.is_none() && drain.as_mut().poll(context).is_ready() {
            connection.graceful_shutdown();
            let mut patience = interval(FAREWELL);
            patience.reset();
            farewell = Some(patience);
        }
        if let Some(patience) = &mut farewell {
            while patience.poll_tick(context).is_ready() {
                // A client that does not answer the farewell, and waits for nothing, is left.
                if !connection.has_streams() {
                    return Poll::Ready(());
                }
            }
        }
        loop {
            match connection.poll_accept(context) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    spawn_local(route::handle(local.clone(), Call::new(request, respond)));
                }
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
    Ok(())
}
