//! What is spoken on a listener's connections, and who answers.

use crate::{
    grpc::{call::Call, route},
    http::{self, answer::Answer, errors},
    shared::{Local, Shared, shutting_down},
};
use hyper::{Request, body::Incoming};
use infermesh_batcher::Mailbox;
use infermesh_transport::{
    budget::Purse,
    http1, http2,
    peer::address::Peer,
    socket::{self, Serve},
    thread::Accepted,
};
use std::{io, rc::Rc, sync::Arc};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::spawn_local,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Grpc,
    /// The v2 protocol in JSON over HTTP/1.1.
    Rest,
    /// Prometheus over HTTP/1.1.
    Metrics,
}

/// What a network thread does with each of its connections.
pub fn serving(shared: Arc<Shared>) -> impl FnMut(Accepted<Protocol>) {
    let mailbox = Mailbox::for_this_thread();
    spawn_local(mailbox.clone().deliver());
    let purse = Purse::new(shared.budget.clone());
    move |accepted| {
        let regions = shared.shared_memory.regions_of(accepted.peer.is_near).clone();
        let (shared, mailbox, purse) = (shared.clone(), mailbox.clone(), purse.clone());
        let connections = shared.connections.clone();
        socket::spawn(connections, accepted, Speaker(Rc::new(Local { shared, mailbox, purse, regions })));
    }
}

struct Speaker(Rc<Local>);

impl Serve<Protocol> for Speaker {
    async fn serve(
        self,
        protocol: Protocol,
        peer: Peer,
        io: impl AsyncRead + AsyncWrite + Unpin,
    ) -> io::Result<()> {
        let Self(local) = self;
        match protocol {
            Protocol::Grpc => {
                let (connections, purse) = (local.shared.connections.clone(), local.purse.clone());
                http2::serve(
                    &connections,
                    &connections.rules,
                    purse,
                    &peer.name,
                    io,
                    |request, respond, tally| {
                        route::answer(&local, Call::new(request, respond, tally.clone()));
                    },
                )
                .await
            }
            Protocol::Rest => serve_http(local, io, http::rest).await,
            Protocol::Metrics => serve_http(local, io, http::metrics).await,
        }
    }
}

/// A client that leaves early takes its request with it, and with it the receiver that tells the batcher that somebody
/// waits.
async fn serve_http<F: Future<Output = Answer>>(
    local: Rc<Local>,
    io: impl AsyncRead + AsyncWrite + Unpin,
    answer: fn(Rc<Local>, Request<Incoming>) -> F,
) -> io::Result<()> {
    let connections = local.shared.connections.clone();
    http1::serve(&connections, &connections.rules, io, |request, mark| {
        let local = local.clone();
        async move {
            let mut answer = match local.shared.is_draining() {
                true => errors::answer(shutting_down("HTTP")),
                false => answer(local.clone(), request).await,
            };
            answer.body_mut().hold(mark, &local.purse);
            answer
        }
    })
    .await
}
