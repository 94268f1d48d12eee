//! Handshakes between identities, with certificates that are made for the test.

mod authority;
mod foreign;
mod identities;
mod listening;
mod permissive;
mod refusals;
mod rotation;
mod sessions;

use super::{Allowed, Failure, HTTP1, HTTP2, Identity, Reason, Secured, Terms, Upstream, server_name};
use authority::{Authority, Folder, Pair, Workload};
use std::{io, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex},
    time::Instant,
};
use tokio_rustls::{client, rustls::pki_types::ServerName, server};

const CLIENT: &str = "10.0.0.7:40000";
const SERVER: &str = "10.0.0.8:8443";

type Accepted = Result<Secured<server::TlsStream<BufReader<DuplexStream>>>, Failure>;
type Connected = Result<Secured<client::TlsStream<DuplexStream>>, Failure>;

/// An identity from files of its own.
struct Party {
    identity: Arc<Identity>,
    folder: Folder,
}

impl Party {
    fn new(pair: &Pair, authorities: &str) -> Self {
        Self::of_domain(pair, authorities, None)
    }

    fn of_domain(pair: &Pair, authorities: &str, domain: Option<&str>) -> Self {
        let folder = Folder::new();
        folder.write(pair, authorities);
        let identity = Arc::new(folder.identity(domain).unwrap());
        Self { identity, folder }
    }

    fn towards<const N: usize>(&self, allowed: [&str; N]) -> Upstream {
        Upstream::new(self.identity.clone(), Allowed::parse(allowed).unwrap())
    }
}

fn name() -> ServerName<'static> {
    server_name("models.example").unwrap()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

/// Both ends of one handshake.
async fn meet(upstream: &Upstream, server: &Identity) -> (Connected, Accepted) {
    let (near, far) = duplex(64 << 10);
    let connect = upstream.connect(near, name(), &[HTTP2], SERVER, soon());
    let accept = server.accept(BufReader::new(far), CLIENT);
    tokio::join!(connect, accept)
}

/// Sends something in both directions.
async fn converse(connected: &mut Connected, accepted: &mut Accepted) {
    let (near, far) = (&mut connected.as_mut().unwrap().stream, &mut accepted.as_mut().unwrap().stream);
    let mut got = [0; 4];
    near.write_all(b"ping").await.unwrap();
    near.flush().await.unwrap();
    far.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"ping");
    far.write_all(b"pong").await.unwrap();
    far.flush().await.unwrap();
    near.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"pong");
}

/// What the client is told by a server that refuses it: at once, or after its own part of the handshake.
async fn told(connected: Connected, client: &Identity) -> Failure {
    match connected {
        Err(failure) => failure,
        Ok(mut secured) => {
            let error: io::Error = secured.stream.read_u8().await.unwrap_err();
            client.explain(SERVER, &error).unwrap()
        }
    }
}
