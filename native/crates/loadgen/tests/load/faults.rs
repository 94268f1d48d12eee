//! Servers that are slow, go away, break off or speak something else.

use crate::{
    plans::{closed, constant, plan, workload},
    runs::{PATIENCE, complete, connect, start},
    servers::{Peer, grpc, http, kind, null, patient, pause, serve},
};
use infermesh_loadgen::{
    null_server::Speech,
    proto::{LoadPlan, Protocol},
};
use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener},
    sync::{Arc, mpsc},
    time::Duration,
};

fn refused(port: u16, protocol: Protocol) -> String {
    connect(plan(port, protocol, closed(1))).err().expect("it cannot be reached")
}

#[test]
fn nobody_listens() {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let why = refused(port, Protocol::Grpc);
    assert!(why.starts_with(&format!("cannot reach 127.0.0.1:{port}: Connection refused")), "{why}");
}

#[test]
fn the_port_speaks_another_protocol() {
    let other = serve(|_, mut stream| {
        let _ = stream.read(&mut [0; 24]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    });
    let why = refused(other, Protocol::Grpc);
    assert!(why.contains("answers in HTTP/1.1, not HTTP/2: is this its HTTP port?"), "{why}");
    let server = null(Speech::Grpc);
    let why = refused(server.port(), Protocol::Http);
    assert!(why.contains("speaks HTTP/2, not HTTP/1.1: is this its gRPC port?"), "{why}");
    let silent = serve(|_, stream| drop(stream));
    let why = refused(silent, Protocol::Grpc);
    assert!(why.contains("cannot reach"), "{why}");
}

#[test]
fn nothing_is_answered_in_time() {
    let (tell, told) = mpsc::channel();
    let port = grpc(&[], move |_, peer| {
        loop {
            let message = match peer.message() {
                Ok(message) => message,
                Err(end) => {
                    tell.send((Vec::new(), peer.reset.len())).unwrap();
                    return Err(end);
                }
            };
            tell.send((message.headers, 0)).unwrap();
        }
    });
    let run = complete(LoadPlan {
        request_count: 6,
        timeout_ns: 50_000_000,
        ..plan(port, Protocol::Grpc, closed(3))
    });
    assert_eq!((run.error("TIMEOUT"), run.latency().count(), run.lost()), (6, 0, 0));
    drop(run);
    let mut said: Vec<_> = (0..7).map(|_| told.recv_timeout(PATIENCE).unwrap()).collect();
    assert_eq!(said.pop().unwrap().1, 6, "each is reset");
    let wanted = b"grpc-timeout\x0650000u";
    assert!(said[0].0.windows(wanted.len()).any(|bytes| bytes == wanted), "the server knows, too");
}

#[test]
fn an_answer_over_http_that_is_late_is_nobody_s() {
    let port = serve(|number, stream| {
        let mut stream = Some(stream);
        let late = number == 0;
        http(stream.take().unwrap(), |head, _| {
            // The probe is answered everywhere, a request on the first connection is not.
            if late && head.starts_with("POST") {
                pause(Duration::from_millis(300));
            }
            Some("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".into())
        });
    });
    let run = complete(LoadPlan {
        request_count: 5,
        timeout_ns: 100_000_000,
        ..plan(port, Protocol::Http, closed(1))
    });
    assert_eq!((run.error("TIMEOUT"), run.latency().count(), run.lost()), (1, 4, 0));
}

#[test]
fn the_server_dies_and_comes_back() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (revive, revived) = mpsc::channel::<()>();
    let server = std::thread::spawn(move || {
        let serve = |listener: &TcpListener, count: usize| {
            let mut peer = Peer::greet(patient(listener.accept()?.0), &[])?;
            for _ in 0..count {
                let message = peer.message()?;
                peer.answer(message.stream, b"")?;
            }
            peer.message().map(drop)
        };
        // It dies with a request in its hands.
        serve(&listener, 5).unwrap();
        drop(listener);
        revived.recv_timeout(PATIENCE).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        serve(&listener, usize::MAX)
    });
    let mut run = start(plan(port, Protocol::Grpc, closed(1)));
    run.until("it is found dead", |run| run.lost() >= 3);
    assert_eq!((run.completed(), run.error("CONNECTION")), (5, 1));
    assert!(run.last().connection_error.contains("refused") && run.last().connections == 0);
    revive.send(()).unwrap();
    run.until("it is back", |run| run.completed() >= 50);
    run.stop(PATIENCE);
    assert_eq!(run.error("CONNECTION"), 1);
    assert!(run.histogram(|workload| &workload.lag).max() < PATIENCE.as_nanos() as u64);
    drop(run);
    assert!(server.join().unwrap().is_err(), "the client has left");
}

#[test]
fn a_server_that_leaves_in_order_costs_nothing() {
    let (tell, told) = mpsc::channel();
    let port = grpc(&[], move |_, peer| {
        for number in 0.. {
            let Ok(message) = peer.message() else { break };
            if number == 20 {
                // As gRPC servers do at a connection's greatest age: no new streams, those under way are answered.
                let last = [&(u32::MAX >> 1).to_be_bytes()[..], &[0; 4]].concat();
                peer.send(kind::GOAWAY, 0, 0, &last)?;
            }
            peer.answer(message.stream, b"")?;
        }
        tell.send(()).unwrap();
        Ok(())
    });
    let run = complete(LoadPlan { request_count: 200, ..plan(port, Protocol::Grpc, closed(4)) });
    assert_eq!((run.latency().count(), run.lost()), (200, 0), "{:?}", run.errors());
    assert_eq!(run.last().connections, 1);
    // Of five to ten connections all but the last are closed by now.
    (0..4).for_each(|_| told.recv_timeout(PATIENCE).unwrap());
    drop(run);
    told.recv_timeout(PATIENCE).unwrap();
}

#[test]
fn requests_that_a_server_refuses_are_errors_of_their_own() {
    let port = grpc(&[], |_, peer| {
        for number in 0.. {
            let stream = peer.message()?.stream;
            match number % 3 {
                0 => peer.send(kind::RST_STREAM, 0, stream, &7u32.to_be_bytes())?,
                1 => peer.end(stream, 8, "queue is full%21")?,
                _ => peer.answer(stream, b"")?,
            }
        }
        Ok(())
    });
    let run = complete(LoadPlan { request_count: 30, ..plan(port, Protocol::Grpc, closed(1)) });
    let errors = run.errors();
    assert_eq!(run.latency().count(), 10);
    assert_eq!(errors["UNAVAILABLE"], (10, "the server reset the stream: REFUSED_STREAM".into()));
    assert_eq!(errors["RESOURCE_EXHAUSTED"], (10, "queue is full!".into()));
}

#[test]
fn a_server_that_never_reads_does_not_fill_the_memory() {
    let (stay, gone) = mpsc::sync_channel::<()>(0);
    let gone = Arc::new(std::sync::Mutex::new(gone));
    let port = grpc(&[(4, 1 << 30)], move |_, peer| {
        peer.send(kind::WINDOW_UPDATE, 0, 0, &(1u32 << 30).to_be_bytes())?;
        let _ = gone.lock().unwrap().recv_timeout(PATIENCE);
        Ok(())
    });
    let body = vec![0; 64 << 10];
    let mut run = start(LoadPlan {
        workloads: vec![workload(1.0, &[&body])],
        max_outstanding: 64,
        timeout_ns: 20_000_000,
        ..plan(port, Protocol::Grpc, constant(20_000.0))
    });
    run.until("many are given up", |run| run.error("TIMEOUT") >= 10_000);
    run.stop(Duration::ZERO);
    // The sockets of both sides hold some megabytes, and the generator one.
    let sent = run.total(|workload| workload.sent_bytes) >> 20;
    assert!(sent < 30, "{sent} MiB");
    drop(stay);
}
