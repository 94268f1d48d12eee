//! Upstreams that hold requests back, and requests that are under way while a test goes on.

use crate::{
    h2_client::{Answer, Client, PATH, answer, grpc, with},
    h2_upstream::{Seen, Upstream},
    running::{config, forward},
};
use bytes::Bytes;
use h2::{SendStream, client::ResponseFuture};
use http::Request;
use infermesh_proxy::proto;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// What no limit of these tests is about.
const FREE: &str = "/free/Call";

/// Everything goes to this upstream, through these limits; but what is free goes through none.
pub fn limited(upstream: &Upstream, change: impl FnOnce(&mut proto::Route)) -> proto::ProxyConfig {
    let forward = forward(&[&upstream.address]);
    let mut route = forward.listeners[0].routes[0].clone();
    let free = proto::Route {
        name: "free".into(),
        r#match: Some(proto::Match { path: FREE.into(), ..Default::default() }),
        ..route.clone()
    };
    change(&mut route);
    let mut config = config(free, forward.clusters);
    config.listeners[0].routes.push(route);
    config
}

/// A fixed limit and a queue before it.
pub fn places(limit: u32, queue: u32) -> proto::Concurrency {
    let queue_timeout_ns = 30_000_000_000;
    proto::Concurrency { limit, queue, queue_timeout_ns, ..Default::default() }
}

/// Answers each request with its own body, when it is told to; what is free at once.
pub struct Gated {
    pub upstream: Upstream,
    gate: Arc<Semaphore>,
    seen: Seen<String>,
}

impl Gated {
    pub async fn start() -> Self {
        let (gate, seen) = (Arc::new(Semaphore::new(0)), Seen::default());
        let (script_gate, script_seen) = (gate.clone(), seen.clone());
        let upstream = Upstream::start(move |mut exchange| {
            let (gate, seen) = (script_gate.clone(), script_seen.clone());
            async move {
                let Ok((body, _)) = exchange.receive().await else { return };
                if exchange.head.uri.path() != FREE {
                    seen.push(String::from_utf8(body.to_vec()).unwrap());
                    tokio::select! {
                        permit = gate.acquire() => permit.unwrap().forget(),
                        _ = exchange.given_up() => return,
                    }
                }
                exchange.answer(body).await;
            }
        });
        Self { upstream: upstream.await, gate, seen }
    }

    pub fn open(&self, requests: usize) {
        self.gate.add_permits(requests);
    }

    /// Bodies of the requests that came here, in order.
    pub fn seen(&self) -> Vec<String> {
        self.seen.all()
    }
}

/// A request that is under way; dropped, its stream is reset.
pub struct UnderWay {
    response: ResponseFuture,
    _stream: SendStream<Bytes>,
}

impl UnderWay {
    pub async fn answer(self) -> Answer {
        answer(self.response).await.unwrap()
    }
}

/// Sends a request and does not wait for its answer.
pub async fn begin(client: &Client, head: Request<()>, body: &'static str) -> UnderWay {
    let (mut stream, response) = client.begin(head).await;
    stream.send_data(Bytes::from_static(body.as_bytes()), true).unwrap();
    UnderWay { response, _stream: stream }
}

/// The head of a call with a priority.
pub fn urgent(priority: &str) -> Request<()> {
    with(grpc(PATH), "x-infermesh-priority", priority)
}

/// Returns when the proxy has taken in whatever was sent on this connection before: it does so in order.
pub async fn fence(client: &Client) {
    client.exchange(grpc(FREE), "fence").await.unwrap().ok();
}
