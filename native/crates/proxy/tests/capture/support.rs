//! A proxy that keeps what passes it, an upstream, and clients over HTTP/2 and HTTP/1.1.

use bytes::Bytes;
use h2::{RecvStream, SendStream, client, server::SendResponse};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use infermesh_proxy::{
    Proxy,
    capture::proto::Record,
    proto::{self, Capture},
};
use prost::Message;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime,
    task::JoinHandle,
    time::timeout,
};

pub const INFER: &str = "/inference.GRPCInferenceService/ModelInfer";

/// Nothing in a test takes so long, unless something hangs.
const LIMIT: Duration = Duration::from_secs(60);

pub fn run(test: impl Future<Output = ()>) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { timeout(LIMIT, test).await.expect("the test hangs") });
    runtime.shutdown_background();
}

/// Everything.
pub fn all() -> Option<Capture> {
    Some(Capture { sample_rate: 1.0, ..Default::default() })
}

/// One route, to this upstream.
pub fn route(capture: Option<Capture>) -> proto::Route {
    proto::Route { name: "orders".into(), cluster: "app".into(), capture, ..Default::default() }
}

/// Cut off when this is dropped.
pub struct Running {
    pub address: String,
    proxy: Option<Proxy>,
}

impl Running {
    pub fn start(upstream: &str, route: proto::Route) -> Self {
        let discovery = proto::Static { endpoints: vec![upstream.into()] };
        let config = proto::ProxyConfig {
            name: "test".into(),
            listeners: vec![proto::Listener {
                name: "in".into(),
                address: "127.0.0.1:0".into(),
                routes: vec![route],
                ..Default::default()
            }],
            clusters: vec![proto::Cluster {
                name: "app".into(),
                discovery: Some(proto::cluster::Discovery::Static(discovery)),
                ..Default::default()
            }],
            threads: 1,
            tracing: Some(proto::Tracing::default()),
            ..Default::default()
        };
        let started = Proxy::start(&config.encode_to_vec(), "0");
        let proxy = started.unwrap_or_else(|error| panic!("{}", error.message));
        let address = proxy.listen().unwrap()[0].1.clone();
        Self { address, proxy: Some(proxy) }
    }

    fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().unwrap()
    }

    /// The records of so many requests that have ended, or end soon.
    pub async fn records(&self, count: usize) -> Vec<Record> {
        let mut records = Vec::new();
        while records.len() < count {
            // It blocks: so no longer than others can wait.
            let taken = self.proxy().take_captures(Duration::from_millis(1));
            records.extend(taken.iter().map(|record| Record::decode(&record[..]).unwrap()));
            tokio::task::yield_now().await;
        }
        assert_eq!(records.len(), count);
        records
    }

    /// All that there is, at the end.
    pub fn flushed(&self) -> usize {
        self.proxy().flush_captures();
        self.proxy().take_captures(LIMIT).len()
    }

    /// The sample of a metric with these labels, or none.
    pub async fn metric(&self, series: &str) -> Option<f64> {
        let admin = self.proxy().listen_admin("", 0).unwrap().to_string();
        let (_, text) = http1(&admin, Request::get("/metrics").body(Bytes::new()).unwrap()).await;
        let text = String::from_utf8(text.to_vec()).unwrap();
        text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It waits for threads and owns a runtime, neither of which is for a runtime's thread.
        let proxy = self.proxy.take();
        let _ = thread::spawn(move || proxy.map(|proxy| proxy.drain(Duration::ZERO))).join();
    }
}

/// One request, as the upstream has it.
pub struct Exchange {
    /// Counted from 0, over all connections.
    pub number: usize,
    pub body: RecvStream,
    pub respond: SendResponse<Bytes>,
}

impl Exchange {
    pub async fn receive(&mut self) -> Bytes {
        receive(&mut self.body).await.0
    }

    pub fn begin(&mut self) -> SendStream<Bytes> {
        let head = Response::builder().header("content-type", "application/grpc");
        self.respond.send_response(head.body(()).unwrap(), false).unwrap()
    }

    /// One message, in pieces, and a status.
    pub fn answer(mut self, pieces: &[Bytes], status: &'static str) {
        let mut stream = self.begin();
        for piece in pieces {
            stream.send_data(piece.clone(), false).unwrap();
        }
        stream.send_trailers(trailers(status)).unwrap();
    }
}

pub fn trailers(status: &'static str) -> HeaderMap {
    HeaderMap::from_iter([("grpc-status".parse().unwrap(), status.parse().unwrap())])
}

/// Answers each request as `script` does, until it is dropped; its address.
pub struct Upstream(pub String, JoinHandle<()>);

impl Upstream {
    pub async fn start<F: Future<Output = ()> + Send + 'static>(
        script: impl Fn(Exchange) -> F + Clone + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let counter = Arc::<AtomicUsize>::default();
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (script, counter) = (script.clone(), counter.clone());
                tokio::spawn(async move {
                    let mut connection = h2::server::handshake(socket).await.unwrap();
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        let number = counter.fetch_add(1, Relaxed);
                        let body = request.into_body();
                        tokio::spawn(script(Exchange { number, body, respond }));
                    }
                });
            }
        });
        Self(address, task)
    }

    /// Answers every call with the message it got.
    pub async fn echo() -> Self {
        Self::start(|mut exchange| async move {
            let body = exchange.receive().await;
            exchange.answer(&[body], "0");
        })
        .await
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.1.abort();
    }
}

pub async fn receive(body: &mut RecvStream) -> (Bytes, Option<HeaderMap>) {
    let mut whole = Vec::new();
    while let Some(Ok(data)) = body.data().await {
        let _ = body.flow_control().release_capacity(data.len());
        whole.extend_from_slice(&data);
    }
    (whole.into(), body.trailers().await.ok().flatten())
}

/// A connection over HTTP/2.
pub async fn http2(address: &str) -> client::SendRequest<Bytes> {
    let socket = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = client::handshake(socket).await.unwrap();
    tokio::spawn(connection);
    sender.ready().await.unwrap()
}

pub fn grpc(path: &str) -> http::request::Builder {
    let head = Request::post(format!("http://shop.local{path}"));
    head.header("content-type", "application/grpc").header("te", "trailers")
}

/// A call with these pieces as its body; the answer's body and `grpc-status`.
pub async fn call(
    sender: &mut client::SendRequest<Bytes>,
    head: Request<()>,
    pieces: &[Bytes],
) -> (Bytes, String) {
    let (response, mut stream) = sender.send_request(head, false).unwrap();
    for piece in pieces {
        stream.send_data(piece.clone(), false).unwrap();
    }
    stream.send_data(Bytes::new(), true).unwrap();
    let (head, mut body) = response.await.unwrap().into_parts();
    let (body, trailers) = receive(&mut body).await;
    let status = trailers.as_ref().unwrap_or(&head.headers)["grpc-status"].to_str().unwrap().to_owned();
    (body, status)
}

/// One request over HTTP/1.1.
pub async fn http1(address: &str, request: Request<Bytes>) -> (StatusCode, Bytes) {
    let socket = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.unwrap();
    tokio::spawn(connection);
    let mut request = request.map(Full::new);
    request.headers_mut().insert("host", "shop.local".parse().unwrap());
    let response = sender.send_request(request).await.unwrap();
    (response.status(), response.into_body().collect().await.unwrap().to_bytes())
}
