//! An upstream that speaks HTTP/2 and does what a script says with each request.

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, server::SendResponse};
use http::{HeaderMap, Response, request::Parts};
use std::{
    future::poll_fn,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// One request, and what is known of where it came from.
pub struct Exchange {
    pub head: Parts,
    pub body: RecvStream,
    pub respond: SendResponse<Bytes>,
    /// Counted from 0.
    pub connection: usize,
}

impl Exchange {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }

    /// Reads the request to its end; fails if it does not come to it.
    pub async fn receive(&mut self) -> Result<(Bytes, Option<HeaderMap>), h2::Error> {
        receive(&mut self.body).await
    }

    /// A good answer with this message.
    pub async fn answer(mut self, message: impl Into<Bytes>) {
        let mut stream = self.respond.send_response(grpc_head(), false).unwrap();
        // The proxy may have gone meanwhile.
        if send(&mut stream, message.into()).await {
            let _ = stream.send_trailers(status(0));
        }
    }

    /// A failure in the headers alone.
    pub fn fail(mut self, code: u16) {
        let mut head = grpc_head();
        head.headers_mut().extend(status(code));
        let _ = self.respond.send_response(head, true);
    }

    /// A refusal of what it has no time for.
    pub fn refuse(mut self) {
        let mut head = grpc_head();
        head.headers_mut().extend(status(14));
        head.headers_mut().insert("infermesh-overload", "1".parse().unwrap());
        let _ = self.respond.send_response(head, true);
    }

    pub fn reset(mut self, reason: Reason) {
        self.respond.send_reset(reason);
    }

    /// Waits until the other side gives it up; why.
    pub async fn given_up(&mut self) -> Option<Reason> {
        poll_fn(|context| self.respond.poll_reset(context)).await.ok()
    }
}

pub fn grpc_head() -> Response<()> {
    Response::builder().header("content-type", "application/grpc").body(()).unwrap()
}

pub fn status(code: u16) -> HeaderMap {
    HeaderMap::from_iter([("grpc-status".parse().unwrap(), code.into())])
}

/// Reads to the end, giving back the window as it goes.
pub async fn receive(body: &mut RecvStream) -> Result<(Bytes, Option<HeaderMap>), h2::Error> {
    let mut read = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        let _ = body.flow_control().release_capacity(data.len());
        read.extend_from_slice(&data);
    }
    Ok((read.into(), body.trailers().await?))
}

/// Sends as the other side takes it; false if that takes no more.
pub async fn send(stream: &mut SendStream<Bytes>, mut data: Bytes) -> bool {
    while !data.is_empty() {
        let Some(now) = room(stream, data.len()).await else { return false };
        if stream.send_data(data.split_to(now), false).is_err() {
            return false;
        }
    }
    true
}

/// Waits until something may be sent; how much, at most `wanted`.
pub async fn room(stream: &mut SendStream<Bytes>, wanted: usize) -> Option<usize> {
    stream.reserve_capacity(wanted);
    loop {
        match stream.capacity() {
            0 => drop(poll_fn(|context| stream.poll_capacity(context)).await?.ok()?),
            room => return Some(room.min(wanted)),
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// MAX_CONCURRENT_STREAMS; none by default.
    pub max_streams: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Order {
    /// Say GOAWAY so often, and end when what is under way has ended.
    Leave(usize),
    /// Cut all connections.
    Cut,
}

#[derive(Default)]
struct Counts {
    requests: AtomicUsize,
    accepted: AtomicUsize,
    open: AtomicUsize,
}

/// Stops when this is dropped.
pub struct Upstream {
    pub address: String,
    counts: Arc<Counts>,
    orders: watch::Sender<Order>,
    listening: JoinHandle<()>,
}

impl Upstream {
    pub async fn start<F>(script: impl Fn(Exchange) -> F + Clone + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::with("127.0.0.1:0", Options::default(), script).await
    }

    /// Answers each request with its own body.
    pub async fn echo() -> Self {
        Self::start(|mut exchange| async move {
            if let Ok((body, _)) = exchange.receive().await {
                exchange.answer(body).await;
            }
        })
        .await
    }

    /// Answers each request with a name, so that it can be told from others.
    pub async fn named(name: &'static str) -> Self {
        Self::start(move |mut exchange| async move {
            if exchange.receive().await.is_ok() {
                exchange.answer(name).await;
            }
        })
        .await
    }

    /// Fails each request with a code.
    pub async fn failing(code: u16) -> Self {
        Self::start(move |mut exchange| async move {
            let _ = exchange.receive().await;
            exchange.fail(code);
        })
        .await
    }

    pub async fn with<F>(
        address: &str,
        options: Options,
        script: impl Fn(Exchange) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let counts = Arc::<Counts>::default();
        let orders = watch::Sender::new(Order::Leave(0));
        let (of_all, ears) = (counts.clone(), orders.subscribe());
        let listening = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, options, script.clone(), of_all.clone(), ears.clone()));
            }
        });
        Self { address, counts, orders, listening }
    }

    /// Requests so far.
    pub fn requests(&self) -> usize {
        self.counts.requests.load(Relaxed)
    }

    /// Connections so far.
    pub fn accepted(&self) -> usize {
        self.counts.accepted.load(Relaxed)
    }

    /// Connections at this moment.
    pub fn open(&self) -> usize {
        self.counts.open.load(Relaxed)
    }

    /// Asks all connections to leave. New ones are served.
    pub fn leave(&self) {
        self.orders.send_modify(|order| match order {
            Order::Leave(times) => *times += 1,
            Order::Cut => {}
        });
    }

    /// Cuts all connections and listens no more.
    pub async fn stop(self) -> String {
        self.listening.abort();
        self.orders.send_replace(Order::Cut);
        while self.open() > 0 {
            tokio::task::yield_now().await;
        }
        let address = self.address.clone();
        drop(self);
        address
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.listening.abort();
        self.orders.send_replace(Order::Cut);
    }
}

async fn serve<F>(
    socket: TcpStream,
    options: Options,
    script: impl Fn(Exchange) -> F,
    counts: Arc<Counts>,
    mut orders: watch::Receiver<Order>,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let number = counts.accepted.fetch_add(1, Relaxed);
    let _open = Open::new(&counts);
    socket.set_nodelay(true).unwrap();
    let mut builder = h2::server::Builder::new();
    if let Some(max) = options.max_streams {
        builder.max_concurrent_streams(max);
    }
    let Ok(mut connection) = builder.handshake::<_, Bytes>(socket).await else { return };
    orders.mark_unchanged();
    loop {
        tokio::select! {
            accepted = connection.accept() => {
                let Some(Ok((request, respond))) = accepted else { return };
                counts.requests.fetch_add(1, Relaxed);
                let (head, body) = request.into_parts();
                tokio::spawn(script(Exchange { head, body, respond, connection: number }));
            }
            changed = orders.changed() => {
                if changed.is_err() || *orders.borrow_and_update() == Order::Cut {
                    return;
                }
                connection.graceful_shutdown();
            }
        }
    }
}

/// A connection that is open, for as long as this lives.
struct Open(Arc<Counts>);

impl Open {
    fn new(counts: &Arc<Counts>) -> Self {
        counts.open.fetch_add(1, Relaxed);
        Self(counts.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

/// What scripts have seen, in order.
#[derive(Clone)]
pub struct Seen<T>(Arc<Mutex<Vec<T>>>);

impl<T> Default for Seen<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Seen<T> {
    pub fn push(&self, what: T) {
        self.0.lock().unwrap().push(what);
    }
}

impl<T: Clone> Seen<T> {
    pub fn all(&self) -> Vec<T> {
        self.0.lock().unwrap().clone()
    }
}

/// Waits until something is so.
pub async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    let limit = std::time::Duration::from_secs(20);
    assert!(tokio::time::timeout(limit, waiting).await.is_ok(), "not within {limit:?}: {what}");
}
