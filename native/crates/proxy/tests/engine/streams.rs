//! Streams in both directions: in order, at the pace of the slower side, and ended by whoever ends them.

use crate::{
    h2_client::{Client, PATH, answer, grpc, next, with},
    h2_upstream::{Seen, Upstream, grpc_head, receive, room, send, status, until},
    running::{Running, forward, run},
};
use bytes::Bytes;
use h2::{Reason, SendStream, client::Builder};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::Notify, time::timeout};

/// A sender that got no further for so long is held back.
const STALLED: Duration = Duration::from_millis(400);

/// Sends until it is held back, or `most` bytes have gone; how many went.
async fn flood(stream: &mut SendStream<Bytes>, most: usize) -> usize {
    let mut sent = 0;
    while sent < most {
        let Ok(Some(now)) = timeout(STALLED, room(stream, 16 << 10)).await else { break };
        if stream.send_data(vec![7; now].into(), false).is_err() {
            break;
        }
        sent += now;
    }
    sent
}

#[test]
fn answers_come_one_by_one_as_they_are_sent() {
    run(async {
        let upstream = Upstream::start(|mut exchange| async move {
            let mut stream = exchange.respond.send_response(grpc_head(), false).unwrap();
            // Each answer waits for what asks for it: none of them can be held back for company.
            while let Some(Ok(data)) = exchange.body.data().await {
                exchange.body.flow_control().release_capacity(data.len()).unwrap();
                if !data.is_empty() {
                    send(&mut stream, [&b"re: "[..], &data].concat().into()).await;
                }
            }
            stream.send_trailers(status(0)).unwrap();
        })
        .await;
        let proxy = Running::start(&forward(&[&upstream.address]));
        let client = Client::connect(&proxy.address).await;
        let (mut stream, response) = client.begin(grpc(PATH)).await;
        let mut body = response.await.unwrap().into_body();
        for index in 0..100 {
            send(&mut stream, format!("question {index}").into()).await;
            assert_eq!(next(&mut body).await, format!("re: question {index}"));
        }
        stream.send_data(Bytes::new(), true).unwrap();
        let (rest, trailers) = receive(&mut body).await.unwrap();
        assert_eq!((rest.len(), trailers), (0, Some(status(0))));
    });
}

#[test]
fn a_client_may_say_much_before_it_gets_one_answer() {
    run(async {
        let upstream = Upstream::start(|mut exchange| async move {
            let (body, _) = exchange.receive().await.unwrap();
            exchange.answer(body.len().to_string()).await;
        })
        .await;
        let proxy = Running::start(&forward(&[&upstream.address]));
        let client = Client::connect(&proxy.address).await;
        let (mut stream, response) = client.begin(grpc(PATH)).await;
        for _ in 0..1_000 {
            assert!(send(&mut stream, Bytes::from_static(&[1; 1_000])).await);
        }
        stream.send_data(Bytes::new(), true).unwrap();
        assert_eq!(answer(response).await.unwrap().text(), "1000000");
    });
}

/// What an upstream could send while nobody read: the windows of two connections and their buffers, however long the answer.
#[test]
fn a_slow_reader_holds_back_a_fast_upstream() {
    run(async {
        let sent = Seen::default();
        let noted = sent.clone();
        let upstream = Upstream::start(move |mut exchange| {
            let sent = noted.clone();
            async move {
                let mut stream = exchange.respond.send_response(grpc_head(), false).unwrap();
                sent.push(flood(&mut stream, 64 << 20).await);
                stream.send_trailers(status(0)).unwrap();
            }
        })
        .await;
        let proxy = Running::start(&forward(&[&upstream.address]));
        let client = Client::connect(&proxy.address).await;
        let (mut stream, response) = client.begin(grpc(PATH)).await;
        stream.send_data(Bytes::new(), true).unwrap();
        let mut body = response.await.unwrap().into_body();
        until("the upstream is held back", || !sent.all().is_empty()).await;
        let sent = sent.all()[0];
        assert!((64 << 10..4 << 20).contains(&sent), "{sent} bytes were sent to nobody");
        // Nothing of it is lost.
        let (read, trailers) = receive(&mut body).await.unwrap();
        assert_eq!((read.len(), trailers), (sent, Some(status(0))));
    });
}

#[test]
fn a_slow_upstream_holds_back_a_fast_client() {
    run(async {
        let gate = Arc::new(Notify::new());
        let told = gate.clone();
        let upstream = Upstream::start(move |mut exchange| {
            let reads_on = told.clone();
            async move {
                let first = exchange.body.data().await.unwrap().unwrap();
                exchange.body.flow_control().release_capacity(first.len()).unwrap();
                reads_on.notified().await;
                let (rest, _) = exchange.receive().await.unwrap();
                exchange.answer((first.len() + rest.len()).to_string()).await;
            }
        })
        .await;
        let proxy = Running::start(&forward(&[&upstream.address]));
        let client = Client::connect(&proxy.address).await;
        let (mut stream, response) = client.begin(grpc(PATH)).await;
        let sent = flood(&mut stream, 64 << 20).await;
        assert!((64 << 10..12 << 20).contains(&sent), "{sent} bytes were sent to nobody");
        stream.send_data(Bytes::new(), true).unwrap();
        gate.notify_one();
        assert_eq!(answer(response).await.unwrap().text(), sent.to_string());
    });
}

#[test]
fn a_client_that_gives_up_before_the_answer_takes_its_request_back() {
    run(async {
        let seen = Seen::default();
        let noted = seen.clone();
        let upstream = Upstream::start(move |mut exchange| {
            let seen = noted.clone();
            async move {
                exchange.receive().await.unwrap();
                seen.push(None);
                seen.push(exchange.given_up().await);
            }
        })
        .await;
        let proxy = Running::start(&forward(&[&upstream.address]));
        let client = Client::connect(&proxy.address).await;
        let (mut stream, response) = client.begin(grpc(PATH)).await;
        stream.send_data(Bytes::from_static(b"x"), true).unwrap();
        until("the upstream has the request", || seen.all().len() == 1).await;
        stream.send_reset(Reason::CANCEL);
        drop(response);
        until("the upstream is told", || seen.all().len() == 2).await;
        assert_eq!(seen.all()[1], Some(Reason::CANCEL));
    });
}

#[test]
fn a_client_that_gives_up_during_the_answer_ends_it() {
    run(async {
        let seen = Seen::default();
        let noted = seen.clone();
        let upstream = Upstream::start(move |mut exchange| {
            let seen = noted.clone();
            async move {
                let mut stream = exchange.respond.send_response(grpc_head(), false).unwrap();
                send(&mut stream, Bytes::from_static(b"first")).await;
                seen.push(std::future::poll_fn(|context| stream.poll_reset(context)).await.ok());
            }
        })
        .await;
        let proxy = Running::start(&forward(&[&upstream.address]));
        let client = Client::connect(&proxy.address).await;
        let (mut stream, response) = client.begin(grpc(PATH)).await;
        let mut body = response.await.unwrap().into_body();
        assert_eq!(next(&mut body).await, "first");
        stream.send_reset(Reason::CANCEL);
        until("the upstream is told", || !seen.all().is_empty()).await;
        assert_eq!(seen.all(), [Some(Reason::CANCEL)]);
    });
}

/// Streams that clients cancel in every state are no fault of the endpoint, whose breaker would open after seven failures.
#[test]
fn clients_that_give_up_are_not_held_against_the_upstream() {
    run(async {
        let seen = Seen::default();
        let noted = seen.clone();
        let upstream = Upstream::start(move |mut exchange| {
            let seen = noted.clone();
            async move {
                let _answering = match exchange.head.uri.path() {
                    "/answering" => {
                        let mut stream = exchange.respond.send_response(grpc_head(), false).unwrap();
                        send(&mut stream, Bytes::from_static(b"first")).await;
                        Some(stream)
                    }
                    "/silent" => None,
                    _ => return exchange.answer("well").await,
                };
                assert!(receive(&mut exchange.body).await.is_err());
                seen.push(());
            }
        })
        .await;
        let mut config = forward(&[&upstream.address]);
        config.clusters[0].breaker = Some(Default::default());
        let proxy = Running::start(&config);
        let client = Client::connect(&proxy.address).await;
        for round in 0..40 {
            let path = if round % 2 == 0 { "/answering" } else { "/silent" };
            let (mut stream, response) = client.begin(grpc(path)).await;
            stream.send_data(Bytes::from_static(b"and more to come"), false).unwrap();
            if round % 2 == 0 {
                let mut body = response.await.unwrap().into_body();
                assert_eq!(next(&mut body).await, "first");
                stream.send_reset(Reason::CANCEL);
            } else {
                until("the upstream has it", || upstream.requests() == round + 1).await;
                stream.send_reset(Reason::CANCEL);
            }
            until("the upstream is told", || seen.all().len() == round + 1).await;
        }
        assert_eq!(client.call("x").await.text(), "well");
    });
}

#[test]
fn an_upstream_that_breaks_off_ends_the_answer_with_a_status() {
    run(async {
        let gate = Arc::new(Notify::new());
        let told = gate.clone();
        let upstream = Upstream::start(move |mut exchange| {
            let gate = told.clone();
            async move {
                let mut stream = exchange.respond.send_response(grpc_head(), false).unwrap();
                send(&mut stream, Bytes::from_static(b"half")).await;
                gate.notified().await;
                stream.send_reset(Reason::INTERNAL_ERROR);
            }
        })
        .await;
        let proxy = Running::start(&forward(&[&upstream.address]));
        let client = Client::connect(&proxy.address).await;
        let (mut stream, response) = client.begin(grpc(PATH)).await;
        stream.send_data(Bytes::new(), true).unwrap();
        let mut body = response.await.unwrap().into_body();
        assert_eq!(next(&mut body).await, "half");
        gate.notify_one();
        let (_, trailers) = receive(&mut body).await.unwrap();
        let trailers = trailers.unwrap();
        assert_eq!(trailers["grpc-status"], "14");
        let said = trailers["grpc-message"].to_str().unwrap();
        assert!(said.contains("upstream was lost"), "{said}");
    });
}

#[test]
fn an_upstream_whose_connection_breaks_ends_the_answer_with_a_status() {
    run(async {
        let upstream = Upstream::start(|mut exchange| async move {
            let mut stream = exchange.respond.send_response(grpc_head(), false).unwrap();
            send(&mut stream, Bytes::from_static(b"half")).await;
            std::future::pending::<()>().await;
        })
        .await;
        let proxy = Running::start(&forward(&[&upstream.address]));
        let client = Client::connect(&proxy.address).await;
        let (mut stream, response) = client.begin(grpc(PATH)).await;
        stream.send_data(Bytes::new(), true).unwrap();
        let mut body = response.await.unwrap().into_body();
        assert_eq!(next(&mut body).await, "half");
        upstream.stop().await;
        let (_, trailers) = receive(&mut body).await.unwrap();
        assert_eq!(trailers.unwrap()["grpc-status"], "14");
    });
}

/// An answer that comes before the request has been read to its end stands; the rest of the request is not wanted.
#[test]
fn an_answer_may_come_before_the_request_has_ended() {
    run(async {
        let upstream = Upstream::start(|exchange| async move { exchange.fail(3) }).await;
        let proxy = Running::start(&forward(&[&upstream.address]));
        let client = Client::connect(&proxy.address).await;
        let (mut stream, response) = client.begin(grpc(PATH)).await;
        send(&mut stream, Bytes::from_static(b"begins")).await;
        assert_eq!(answer(response).await.unwrap().code(), 3);
        assert_eq!(client.call("x").await.code(), 3);
    });
}

#[test]
fn an_answer_that_nobody_takes_ends_at_the_deadline() {
    run(async {
        let upstream =
            Upstream::start(|exchange| async move { exchange.answer(vec![7; 1 << 20]).await }).await;
        let proxy = Running::start(&forward(&[&upstream.address]));
        let client = Client::with(&proxy.address, Builder::new().initial_window_size(100)).await;
        let (mut stream, response) = client.begin(with(grpc(PATH), "grpc-timeout", "300m")).await;
        stream.send_data(Bytes::from_static(b"x"), true).unwrap();
        let mut body = response.await.unwrap().into_body();
        let begun = Instant::now();
        let mut come = 0;
        let end = loop {
            match body.data().await.unwrap() {
                Ok(data) => come += data.len(),
                Err(error) => break error,
            }
        };
        assert_eq!((come, end.reason()), (100, Some(Reason::CANCEL)));
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    });
}
