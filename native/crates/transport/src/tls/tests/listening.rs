//! Listener, network thread and socket together, over loopback: whoever speaks on a connection knows the
//! peer.

use super::*;
use crate::{
    Connections, Rules, Tls, TlsFiles,
    listener::{Endpoint, bind_tcp},
    peer::address::Peer,
    socket::{self, Serve},
    thread::NetworkThread,
};
use infermesh_telemetry::Log;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinHandle,
};

const APP: &str = "spiffe://mesh/ns/shop/sa/app";
const SCORER: &str = "spiffe://mesh/ns/ml/sa/scorer";

/// Tells a peer who it is.
struct Mirror;

impl Serve<()> for Mirror {
    async fn serve(self, (): (), peer: Peer, mut io: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
        // It speaks second, as HTTP does.
        io.read_u8().await?;
        let who = peer.identity.map_or("nobody".into(), |id| id.to_string());
        io.write_all(format!("{who}\n").as_bytes()).await?;
        io.flush().await
    }
}

struct House {
    address: SocketAddr,
    log: Arc<Log>,
    connections: Arc<Connections>,
    thread: NetworkThread<()>,
    listens: JoinHandle<()>,
}

impl House {
    fn open(terms: Terms) -> Self {
        let log = Arc::<Log>::default();
        let connections = Arc::new(Connections::new(Rules::default(), 10, log.clone()));
        let shared = connections.clone();
        let thread =
            NetworkThread::start(0, move || move |accepted| socket::spawn(shared.clone(), accepted, Mirror))
                .unwrap();
        let (listener, address) = bind_tcp("127.0.0.1", 0).unwrap();
        let threads = vec![thread.inbox.clone()];
        let endpoint =
            Endpoint { protocol: (), counts: true, terms, threads, connections: connections.clone() };
        let listens = tokio::spawn(listener.run(endpoint));
        Self { address, log, connections, thread, listens }
    }

    /// The records that were written.
    async fn close(self) -> Vec<(&'static str, String)> {
        self.connections.drain();
        self.listens.await.unwrap();
        assert!(self.connections.ended(Duration::from_secs(10)).await);
        self.thread.stop();
        self.log.flush();
        let records = self.log.take(Duration::ZERO);
        records.into_iter().map(|record| (record.action, record.message)).collect()
    }
}

async fn ask(mut io: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<String> {
    io.write_all(b"?").await?;
    io.flush().await?;
    let mut said = String::new();
    io.read_to_string(&mut said).await?;
    Ok(said.trim_end().into())
}

async fn ask_as(party: &Party, address: SocketAddr) -> String {
    let io = TcpStream::connect(address).await.unwrap();
    let upstream = party.towards([SCORER]);
    let peer = address.to_string();
    let secured = upstream.connect(io, name(), &[HTTP2], &peer, soon()).await.unwrap();
    // The mirror ends without the word that TLS has for it.
    let mut stream = secured.stream;
    stream.write_all(b"?").await.unwrap();
    stream.flush().await.unwrap();
    let mut said = Vec::new();
    while !said.ends_with(b"\n") {
        said.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(said).unwrap().trim_end().into()
}

fn mesh() -> (Authority, Party, Party) {
    let authority = Authority::new("mesh authority");
    let app = Party::new(&authority.issue(APP), &authority.pem());
    let scorer = Party::new(&authority.issue(SCORER), &authority.pem());
    (authority, app, scorer)
}

#[tokio::test]
async fn a_mutual_listener_knows_its_peers_and_names_those_it_refuses() {
    let (_authority, app, scorer) = mesh();
    let house = House::open(Terms::Mutual(scorer.identity.clone()));
    assert_eq!(ask_as(&app, house.address).await, APP);
    let plain = TcpStream::connect(house.address).await.unwrap();
    let name = plain.local_addr().unwrap();
    // It is cut off: with an end, or with a reset where it was still speaking.
    assert_eq!(ask(plain).await.unwrap_or_default(), "");
    // One that only looks whether somebody listens is nothing to write about.
    drop(TcpStream::connect(house.address).await.unwrap());
    assert_eq!(ask_as(&app, house.address).await, APP);
    let said = format!("TLS with {name} failed: it speaks no TLS: it begins with '?'");
    assert_eq!(house.close().await, [("tls-handshake-failed", said)]);
}

#[tokio::test]
async fn a_permissive_listener_knows_those_who_prove_who_they_are() {
    let (_authority, app, scorer) = mesh();
    let house = House::open(Terms::Permissive(scorer.identity.clone()));
    assert_eq!(ask_as(&app, house.address).await, APP);
    assert_eq!(ask(TcpStream::connect(house.address).await.unwrap()).await.unwrap(), "nobody");
    assert_eq!(house.close().await, []);
    let counts = scorer.identity.accepted.counts();
    assert_eq!((counts.done, counts.plaintext), (1, 1));
}

#[tokio::test]
async fn a_listener_with_files_of_its_own_notes_an_identity_and_demands_none() {
    let (authority, app, scorer) = mesh();
    let files = |authorities| TlsFiles {
        certificate: scorer.folder.path("tls.crt"),
        key: scorer.folder.path("tls.key"),
        authorities,
    };
    let mutual = Tls::load(files(Some(scorer.folder.path("ca.crt"))), HTTP2).unwrap();
    let house = House::open(Terms::Tls(Arc::new(mutual)));
    assert_eq!(ask_as(&app, house.address).await, APP);
    let connect = async |config| {
        let io = TcpStream::connect(house.address).await.unwrap();
        let mut stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name(), io).await?;
        stream.write_all(b"?").await?;
        stream.flush().await?;
        let mut said = [0; 6];
        stream.read_exact(&mut said).await.map(|_| said)
    };
    let named = authority.certify(&Workload { dns: &["app"], ..Workload::default() });
    assert_eq!(&connect(foreign::client(Some(&named), &[HTTP2])).await.unwrap(), b"nobody");
    assert!(connect(foreign::client(None, &[HTTP2])).await.is_err());
    assert!(connect(foreign::client(Some(&named), &[HTTP1])).await.is_err());
    let records = house.close().await;
    assert!(records[0].1.contains("presents no certificate"), "{records:?}");
    assert!(records[1].1.contains("no application protocol"), "{records:?}");

    let open = Tls::load(files(None), HTTP1).unwrap();
    let house = House::open(Terms::Tls(Arc::new(open)));
    let io = TcpStream::connect(house.address).await.unwrap();
    let nobody = tokio_rustls::TlsConnector::from(Arc::new(foreign::client(None, &[HTTP1])));
    let mut stream = nobody.connect(name(), io).await.unwrap();
    stream.write_all(b"?").await.unwrap();
    stream.flush().await.unwrap();
    let mut said = [0; 6];
    stream.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"nobody");
    assert_eq!(house.close().await, []);
}
