//! Many requests on several threads: none is lost, none too many is under way.

use crate::{
    h2_client::{Client, PATH, grpc},
    h2_upstream::{Upstream, grpc_head, send, status},
    running::{Running, run},
    support::{begin, limited, places},
};
use bytes::Bytes;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};
use tokio::task::{JoinHandle, yield_now};

const CLIENTS: usize = 8;
const ROUNDS: usize = 40;
const AT_ONCE: usize = 16;
const LIMIT: usize = 4;

async fn all(tasks: Vec<JoinHandle<()>>) {
    for task in tasks {
        task.await.unwrap();
    }
}

#[test]
fn every_request_of_a_crowd_is_answered_and_never_too_many_are_under_way() {
    run(async {
        let (under_way, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (here, peak) = (under_way.clone(), most.clone());
        let upstream = Upstream::start(move |mut exchange| {
            let (here, peak) = (here.clone(), peak.clone());
            async move {
                peak.fetch_max(here.fetch_add(1, SeqCst) + 1, SeqCst);
                let (body, _) = exchange.receive().await.unwrap();
                yield_now().await;
                let mut stream = exchange.respond.send_response(grpc_head(), false).unwrap();
                send(&mut stream, body).await;
                here.fetch_sub(1, SeqCst);
                stream.send_trailers(status(0)).unwrap();
            }
        })
        .await;
        let mut config = limited(&upstream, |route| route.concurrency = Some(places(LIMIT as u32, 4096)));
        config.threads = 4;
        let proxy = Running::start(&config);
        let mut tasks = Vec::new();
        for _ in 0..CLIENTS {
            let client = Arc::new(Client::connect(&proxy.address).await);
            tasks.extend((0..AT_ONCE).map(|_| {
                let client = client.clone();
                tokio::spawn(async move {
                    for _ in 0..ROUNDS {
                        assert_eq!(client.call("x").await.text(), "x");
                    }
                })
            }));
        }
        all(tasks).await;
        assert_eq!(upstream.requests(), CLIENTS * AT_ONCE * ROUNDS);
        assert_eq!(most.load(SeqCst), LIMIT);
    });
}

/// A wake-up that is lost leaves a place empty for ever: with as few as there are, the rest then waits in vain.
#[test]
fn those_who_leave_take_no_place_with_them() {
    run(async {
        let upstream = Upstream::start(|mut exchange| async move {
            if exchange.receive().await.is_ok() {
                // It may be reset by now.
                if let Ok(mut stream) = exchange.respond.send_response(grpc_head(), false) {
                    let _ = stream.send_data(Bytes::from_static(b"x"), false);
                    let _ = stream.send_trailers(status(0));
                }
            }
        })
        .await;
        let mut config = limited(&upstream, |route| route.concurrency = Some(places(2, 4096)));
        config.threads = 4;
        let proxy = Running::start(&config);
        let mut tasks = Vec::new();
        for client_number in 0..CLIENTS {
            let client = Arc::new(Client::connect(&proxy.address).await);
            tasks.extend((0..AT_ONCE).map(|number| {
                let client = client.clone();
                tokio::spawn(async move {
                    for round in 0..ROUNDS {
                        let one = begin(&client, grpc(PATH), "x").await;
                        let patience = (client_number + 3 * number + 7 * round) % 12;
                        if patience > 8 {
                            assert_eq!(one.answer().await.text(), "x");
                            continue;
                        }
                        for _ in 0..patience * patience {
                            yield_now().await;
                        }
                        drop(one);
                    }
                })
            }));
        }
        all(tasks).await;
        // All places are free again.
        let client = Client::connect(&proxy.address).await;
        for _ in 0..10 {
            client.call("x").await.ok();
        }
    });
}
