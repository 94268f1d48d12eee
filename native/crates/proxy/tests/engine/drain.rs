//! The end: what was accepted is finished.

use crate::{
    h2_client::{Client, PATH, answer, grpc},
    h2_upstream::{Upstream, until},
    running::{Running, forward, run},
};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};
use tokio::{net::TcpStream, sync::Semaphore};

/// Answers when it is told to.
async fn gated() -> (Upstream, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let script = gate.clone();
    let upstream = Upstream::start(move |mut exchange| {
        let gate = script.clone();
        async move {
            exchange.receive().await.unwrap();
            gate.acquire().await.unwrap().forget();
            exchange.answer("done").await;
        }
    });
    (upstream.await, gate)
}

#[test]
fn what_is_under_way_is_finished_and_then_the_connection_ends() {
    run(async {
        let (upstream, gate) = gated().await;
        let proxy = Running::start(&forward(&[&upstream.address]));
        let client = Client::connect(&proxy.address).await;
        let (mut stream, response) = client.begin(grpc(PATH)).await;
        stream.send_data(Bytes::from_static(b"x"), true).unwrap();
        until("the upstream has the request", || upstream.requests() == 1).await;
        let drained = proxy.drain(Duration::from_secs(30));
        until("nobody listens any more", || std::net::TcpStream::connect(&proxy.address).is_err()).await;
        assert!(!drained.is_finished());
        gate.add_permits(1);
        assert_eq!(answer(response).await.unwrap().text(), "done");
        client.closed().await.unwrap();
        assert!(tokio::task::spawn_blocking(|| drained.join().unwrap()).await.unwrap());
    });
}

/// A client that has not yet read the GOAWAY sends on: that is accepted, too.
#[test]
fn what_comes_before_the_client_knows_is_served() {
    run(async {
        let (upstream, gate) = gated().await;
        let proxy = Running::start(&forward(&[&upstream.address]));
        let client = Client::connect(&proxy.address).await;
        let (mut stream, first) = client.begin(grpc(PATH)).await;
        stream.send_data(Bytes::from_static(b"x"), true).unwrap();
        until("the upstream has the request", || upstream.requests() == 1).await;
        // The client's task does not run until this one waits: what it sends crosses the GOAWAY.
        let drained = proxy.drain(Duration::from_secs(30));
        while std::net::TcpStream::connect(&proxy.address).is_ok() {
            std::thread::yield_now();
        }
        let (mut stream, second) = client.begin(grpc(PATH)).await;
        stream.send_data(Bytes::from_static(b"x"), true).unwrap();
        gate.add_permits(2);
        assert_eq!(answer(first).await.unwrap().text(), "done");
        assert_eq!(answer(second).await.unwrap().text(), "done");
        assert!(tokio::task::spawn_blocking(|| drained.join().unwrap()).await.unwrap());
    });
}

#[test]
fn what_takes_too_long_is_cut_off() {
    run(async {
        let (upstream, _gate) = gated().await;
        let proxy = Running::start(&forward(&[&upstream.address]));
        let client = Client::connect(&proxy.address).await;
        let (mut stream, response) = client.begin(grpc(PATH)).await;
        stream.send_data(Bytes::from_static(b"x"), true).unwrap();
        until("the upstream has the request", || upstream.requests() == 1).await;
        let drained = proxy.drain(Duration::from_millis(100));
        assert!(answer(response).await.is_err());
        assert!(!tokio::task::spawn_blocking(|| drained.join().unwrap()).await.unwrap());
    });
}

#[test]
fn connections_that_do_nothing_end_at_once() {
    run(async {
        let upstream = Upstream::echo().await;
        let proxy = Running::start(&forward(&[&upstream.address]));
        let client = Client::connect(&proxy.address).await;
        client.call("x").await.ok();
        let _silent = TcpStream::connect(&proxy.address).await.unwrap();
        let drained = proxy.drain(Duration::from_secs(10));
        client.closed().await.unwrap();
        assert!(tokio::task::spawn_blocking(|| drained.join().unwrap()).await.unwrap());
    });
}
