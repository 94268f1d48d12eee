//! Connections on which HTTP is spoken once, and then something else.

use crate::{
    h1::{App, Wire},
    h2_upstream::{Seen, until},
    running::{Running, forward, nanos, run},
};
use infermesh_proxy::proto;
use std::time::{Duration, Instant};

const ASK: &str = "GET /chat HTTP/1.1\r\nhost: shop\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\n\
                   sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n";
const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                        sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Agrees, says hello at once, and then repeats each byte twice.
async fn app() -> (App, Seen<&'static str>) {
    let ends = Seen::default();
    let noted = ends.clone();
    let app = App::start(move |mut wire, _| {
        let ends = noted.clone();
        async move {
            let request = wire.read().await.unwrap();
            assert_eq!(request.first, "GET /chat HTTP/1.1");
            assert_eq!(request.header("upgrade"), Some("websocket"));
            assert_eq!(request.header("connection"), Some("upgrade"));
            assert_eq!(request.header("sec-websocket-version"), Some("13"));
            wire.write(format!("{SWITCHED}hello")).await;
            while let Some(byte) = wire.try_read(1).await {
                wire.write([byte[0], byte[0]]).await;
            }
            ends.push("ended");
        }
    });
    (app.await, ends)
}

async fn connected(address: &str) -> Wire {
    let mut wire = Wire::connect(address).await;
    wire.write(ASK).await;
    let answer = wire.head().await.unwrap();
    assert_eq!(answer.first, "HTTP/1.1 101 Switching Protocols");
    assert_eq!((answer.header("upgrade"), answer.header("connection")), (Some("websocket"), Some("upgrade")));
    assert_eq!(answer.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(wire.read_exact(5).await, b"hello");
    wire
}

#[test]
fn bytes_pass_both_ways_until_one_side_ends_it() {
    run(async {
        let (app, ends) = app().await;
        let proxy = Running::start(&forward(&[&app.address]));
        let mut wire = connected(&proxy.address).await;
        for round in 0..100_u8 {
            wire.write([round]).await;
            assert_eq!(wire.read_exact(2).await, [round, round]);
        }
        let large: Vec<u8> = (0..1 << 16).map(|index: u32| index as u8).collect();
        wire.write(&large).await;
        let came = wire.read_exact(2 << 16).await;
        assert!(came.chunks(2).map(|pair| pair[0]).eq(large.iter().copied()));
        assert!(ends.all().is_empty());
        drop(wire);
        until("the app is told", || !ends.all().is_empty()).await;
    });
}

#[test]
fn an_app_that_ends_it_is_told_to_the_client() {
    run(async {
        let app = App::start(|mut wire, _| async move {
            wire.read().await.unwrap();
            wire.write(format!("{SWITCHED}hello")).await;
            assert_eq!(wire.read_exact(3).await, b"bye");
        })
        .await;
        let proxy = Running::start(&forward(&[&app.address]));
        let mut wire = connected(&proxy.address).await;
        wire.write("bye").await;
        assert!(wire.has_ended().await);
    });
}

/// Each has a connection to the app of its own, of those that there may be.
#[test]
fn each_takes_a_place_until_it_ends() {
    run(async {
        let (app, ends) = app().await;
        let mut config = forward(&[&app.address]);
        config.clusters[0].pool = Some(proto::Pool { max_connections: 1, ..Default::default() });
        config.listeners[0].routes[0].timeout_ns = nanos(Duration::from_millis(200));
        let proxy = Running::start(&config);
        let mut first = connected(&proxy.address).await;
        let mut second = Wire::connect(&proxy.address).await;
        second.write(ASK).await;
        assert!(second.head().await.unwrap().first.contains("504"));
        // The time of the route is for the answer, not for what comes after it.
        first.write("x").await;
        assert_eq!(first.read_exact(2).await, b"xx");
        drop(first);
        until("the first has ended", || !ends.all().is_empty()).await;
        connected(&proxy.address).await;
    });
}

#[test]
fn an_app_may_decline() {
    run(async {
        let app = App::start(|mut wire, _| async move {
            while let Some(request) = wire.read().await {
                let said = request.header("upgrade").unwrap_or("nothing").to_owned();
                let length = said.len();
                wire.write(format!("HTTP/1.1 400 Bad Request\r\ncontent-length: {length}\r\n\r\n{said}"))
                    .await;
            }
        })
        .await;
        let proxy = Running::start(&forward(&[&app.address]));
        let mut wire = Wire::connect(&proxy.address).await;
        wire.write(ASK).await;
        assert_eq!(wire.read().await.unwrap().text(), "websocket");
        // And the connections go on, as HTTP.
        wire.write("GET /chat HTTP/1.1\r\nhost: shop\r\n\r\n").await;
        assert_eq!(wire.read().await.unwrap().text(), "nothing");
        assert_eq!(app.accepted(), 1);
    });
}

/// What would pass by all that is decided here is not asked for; a request that asks for it is an ordinary one.
#[test]
fn http2_is_not_agreed_on_behind_the_back() {
    run(async {
        let app = App::start(|mut wire, _| async move {
            let request = wire.read().await.unwrap();
            assert_eq!((request.header("upgrade"), request.header("connection")), (None, None));
            wire.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        })
        .await;
        let proxy = Running::start(&forward(&[&app.address]));
        let mut wire = Wire::connect(&proxy.address).await;
        wire.write(
            "GET / HTTP/1.1\r\nhost: shop\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n\r\n",
        )
        .await;
        assert_eq!(wire.read().await.unwrap().text(), "ok");
    });
}

#[test]
fn an_app_that_switches_unasked_is_not_followed() {
    run(async {
        let app = App::start(|mut wire, _| async move {
            wire.read().await.unwrap();
            wire.write(SWITCHED).await;
        })
        .await;
        let proxy = Running::start(&forward(&[&app.address]));
        let mut wire = Wire::connect(&proxy.address).await;
        wire.write("GET /chat HTTP/1.1\r\nhost: shop\r\n\r\n").await;
        let answer = wire.read().await.unwrap();
        assert!(answer.first.contains("503"), "{answer:?}");
        assert!(answer.text().contains("it switches protocols, which it was not asked for"), "{answer:?}");
    });
}

#[test]
fn one_on_which_nobody_speaks_ends() {
    run(async {
        let (app, ends) = app().await;
        let mut config = forward(&[&app.address]);
        config.listeners[0].idle_timeout_ns = nanos(Duration::from_millis(200));
        let proxy = Running::start(&config);
        let mut wire = connected(&proxy.address).await;
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(400) {
            wire.write("x").await;
            assert_eq!(wire.read_exact(2).await, b"xx");
        }
        let quiet = Instant::now();
        assert!(wire.has_ended().await);
        assert!(quiet.elapsed() >= Duration::from_millis(195), "{:?}", quiet.elapsed());
        until("the app is told", || !ends.all().is_empty()).await;
    });
}

/// Nobody can say when it would end by itself: a pause is enough.
#[test]
fn a_drain_waits_for_a_pause() {
    run(async {
        let (app, ends) = app().await;
        let proxy = Running::start(&forward(&[&app.address]));
        let mut wire = connected(&proxy.address).await;
        let drained = proxy.drain(Duration::from_secs(30));
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(1_500) {
            wire.write("x").await;
            assert_eq!(wire.read_exact(2).await, b"xx");
        }
        assert!(!drained.is_finished());
        assert!(wire.has_ended().await);
        assert!(tokio::task::spawn_blocking(|| drained.join().unwrap()).await.unwrap());
        assert_eq!(ends.all(), ["ended"]);
    });
}
