//! A limit that finds out what an upstream takes, before one that batches.

use crate::{
    h2_client::{Client, PATH, grpc, with},
    h2_upstream::{Seen, Upstream, grpc_head, send, status, until},
    running::{Running, run},
    support::{limited, places},
};
use bytes::Bytes;
use infermesh_proxy::proto;
use infermesh_wire::proto::inference::{
    ModelInferRequest, ModelInferResponse, model_infer_request::InferInputTensor,
    model_infer_response::InferOutputTensor,
};
use prost::Message;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::sleep,
};

/// The largest batch; 10 ms and half a millisecond for each request in it.
const LARGEST: usize = 32;

fn took(requests: usize) -> Duration {
    Duration::from_micros(10_000 + 500 * requests as u64)
}

/// Runs what waits as one batch, as long as there is something.
#[derive(Clone)]
struct Batches {
    queue: mpsc::UnboundedSender<(Instant, oneshot::Sender<Duration>)>,
    under_way: Arc<AtomicUsize>,
}

impl Batches {
    fn start() -> Self {
        let (queue, mut waiting) = mpsc::unbounded_channel::<(Instant, oneshot::Sender<Duration>)>();
        tokio::spawn(async move {
            let mut batch = Vec::new();
            while waiting.recv_many(&mut batch, LARGEST).await > 0 {
                let started = Instant::now();
                sleep(took(batch.len())).await;
                for (since, done) in batch.drain(..) {
                    let _ = done.send(started.saturating_duration_since(since));
                }
            }
        });
        Self { queue, under_way: Arc::default() }
    }

    /// How long it has waited for its batch, when that is done.
    async fn run(&self) -> Duration {
        self.under_way.fetch_add(1, Relaxed);
        let (done, end) = oneshot::channel();
        self.queue.send((Instant::now(), done)).unwrap();
        let queued = end.await.unwrap();
        self.under_way.fetch_sub(1, Relaxed);
        queued
    }
}

/// Keeps so many requests at the proxy until this many have been answered.
async fn load(proxy: &Running, at_once: usize, requests: usize) {
    let left = Arc::new(AtomicUsize::new(requests));
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let client = Arc::new(Client::connect(&proxy.address).await);
        tasks.extend((0..at_once / 4).map(|_| {
            let (client, left) = (client.clone(), left.clone());
            tokio::spawn(async move {
                while left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok() {
                    let answer = client.call("x").await;
                    answer.ok();
                    assert!(!answer.trailers.unwrap().contains_key("x-infermesh-queue-us"));
                }
            })
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

/// What a limit comes to before an upstream that `tells` how long requests waited, or does not.
fn fills_the_batches(tells: bool) {
    const REQUESTS: usize = 4_000;
    run(async move {
        let batches = Batches::start();
        let script = batches.clone();
        let levels = Seen::default();
        let noted = levels.clone();
        let upstream = Upstream::start(move |mut exchange| {
            let (batches, levels) = (script.clone(), noted.clone());
            async move {
                exchange.receive().await.unwrap();
                assert_eq!(exchange.header("x-infermesh-timing"), Some("1"));
                let queued = batches.run().await;
                levels.push(batches.under_way.load(Relaxed));
                let mut stream = exchange.respond.send_response(grpc_head(), false).unwrap();
                send(&mut stream, Bytes::from_static(b"x")).await;
                let mut trailers = status(0);
                if tells {
                    trailers.insert("x-infermesh-queue-us", (queued.as_micros() as u64).into());
                }
                stream.send_trailers(trailers).unwrap();
            }
        });
        let upstream = upstream.await;
        let proxy = Running::start(&limited(&upstream, |route| route.concurrency = Some(places(0, 1024))));
        load(&proxy, 400, REQUESTS).await;
        let last = &levels.all()[REQUESTS - 1_000..];
        let mean = last.iter().sum::<usize>() as f64 / last.len() as f64;
        // It begins at 16, and 400 want to be there. Two full batches are 64: one runs while the other waits.
        assert!((24.0..160.0).contains(&mean), "{mean}");
    });
}

#[test]
fn it_fills_the_batches_and_keeps_the_rest_before_the_upstream() {
    fills_the_batches(false);
}

#[test]
fn it_does_so_before_an_upstream_that_tells_its_queue() {
    fills_the_batches(true);
}

/// Requests that share a call share what its answer says.
#[test]
fn requests_that_share_calls_have_it_adapt_too() {
    run(async {
        let rows = Seen::default();
        let noted = rows.clone();
        let upstream = Upstream::start(move |mut exchange| {
            let rows = noted.clone();
            async move {
                let (body, _) = exchange.receive().await.unwrap();
                let request = ModelInferRequest::decode(&body[5..]).unwrap();
                let count = request.inputs[0].shape[0];
                rows.push(count);
                sleep(Duration::from_millis(5)).await;
                exchange.answer(inferred(count)).await;
            }
        });
        let upstream = upstream.await;
        let proxy = Running::start(&limited(&upstream, |route| {
            route.concurrency = Some(places(0, 1024));
            route.coalesce = Some(proto::Coalesce { max_rows: 256, ..Default::default() });
        }));
        let client = Arc::new(Client::connect(&proxy.address).await);
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move {
                    loop {
                        client.call(asked()).await.ok();
                    }
                })
            })
            .collect();
        until("the limit grows", || rows.all().iter().any(|rows| *rows > 40)).await;
        tasks.into_iter().for_each(|task| task.abort());
    });
}

fn framed(message: &impl Message) -> Bytes {
    let encoded = message.encode_to_vec();
    [&[0], &(encoded.len() as u32).to_be_bytes()[..], &encoded].concat().into()
}

/// One row.
fn asked() -> Bytes {
    let input = InferInputTensor {
        name: "x".into(),
        datatype: "FP32".into(),
        shape: vec![1, 1],
        ..Default::default()
    };
    framed(&ModelInferRequest {
        model_name: "m".into(),
        inputs: vec![input],
        raw_input_contents: vec![vec![0; 4].into()],
        ..Default::default()
    })
}

/// The answer to so many.
fn inferred(rows: i64) -> Bytes {
    let output = InferOutputTensor {
        name: "y".into(),
        datatype: "FP32".into(),
        shape: vec![rows, 1],
        ..Default::default()
    };
    framed(&ModelInferResponse {
        model_name: "m".into(),
        outputs: vec![output],
        raw_output_contents: vec![vec![0; 4 * rows as usize].into()],
        ..Default::default()
    })
}

#[test]
fn only_a_limit_that_adapts_asks_and_only_who_asks_himself_is_told() {
    run(async {
        let asked = Seen::default();
        let noted = asked.clone();
        let upstream = Upstream::start(move |mut exchange| {
            let asked = noted.clone();
            async move {
                exchange.receive().await.unwrap();
                asked.push(exchange.header("x-infermesh-timing").is_some());
                let mut stream = exchange.respond.send_response(grpc_head(), false).unwrap();
                let mut trailers = status(0);
                trailers.insert("x-infermesh-queue-us", 7.into());
                stream.send_trailers(trailers).unwrap();
            }
        })
        .await;
        for (concurrency, asks) in [(None, false), (Some(places(8, 16)), false), (Some(places(0, 16)), true)]
        {
            let proxy = Running::start(&limited(&upstream, |route| route.concurrency = concurrency));
            let client = Client::connect(&proxy.address).await;
            for (head, passes) in [(grpc(PATH), !asks), (with(grpc(PATH), "x-infermesh-timing", "1"), true)] {
                let trailers = client.exchange(head, "x").await.unwrap().trailers.unwrap();
                assert_eq!(trailers.contains_key("x-infermesh-queue-us"), passes, "asks: {asks}");
            }
        }
        assert_eq!(asked.all(), [false, true, false, true, true, true]);
    });
}
