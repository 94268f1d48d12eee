//! A listener that takes both: TLS where a connection begins with it, plaintext otherwise.

use super::*;
use crate::{peer::address::Peer, tls::Greeted};

const APP: &str = "spiffe://mesh/ns/shop/sa/app";

fn listening() -> (Authority, Party, Terms) {
    let authority = Authority::new("mesh authority");
    let scorer = Party::new(&authority.issue("spiffe://mesh/ns/ml/sa/scorer"), &authority.pem());
    let terms = Terms::Permissive(scorer.identity.clone());
    (authority, scorer, terms)
}

fn peer() -> Peer {
    Peer::tcp(CLIENT.parse().unwrap())
}

#[tokio::test]
async fn plaintext_passes_whole() {
    let (_authority, scorer, terms) = listening();
    let (mut near, far) = duplex(64 << 10);
    near.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    near.shutdown().await.unwrap();
    let mut peer = peer();
    let Ok(Greeted::Plaintext(mut stream)) = terms.greet(BufReader::new(far), &mut peer).await else {
        panic!("plaintext")
    };
    let mut read = Vec::new();
    stream.read_to_end(&mut read).await.unwrap();
    assert_eq!(read, b"GET / HTTP/1.1\r\n\r\n");
    assert!(peer.identity.is_none());
    assert_eq!(scorer.identity.accepted.counts().plaintext, 1);
}

#[tokio::test(start_paused = true)]
async fn a_first_byte_may_take_its_time_and_is_not_lost() {
    let (_authority, _scorer, terms) = listening();
    let (mut near, far) = duplex(64 << 10);
    let slow = async {
        tokio::time::sleep(Duration::from_millis(9_900)).await;
        near.write_all(b"P").await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        near.write_all(b"RI").await.unwrap();
        near.shutdown().await.unwrap();
    };
    let read = async {
        let Ok(Greeted::Plaintext(mut stream)) = terms.greet(BufReader::new(far), &mut peer()).await else {
            panic!("plaintext")
        };
        let mut read = Vec::new();
        stream.read_to_end(&mut read).await.unwrap();
        read
    };
    assert_eq!(tokio::join!(slow, read).1, b"PRI");
}

#[tokio::test(start_paused = true)]
async fn a_first_byte_that_does_not_come_is_not_waited_for() {
    let (_authority, scorer, terms) = listening();
    let (_near, far) = duplex(64 << 10);
    let began = Instant::now();
    let Err(failure) = terms.greet(BufReader::new(far), &mut peer()).await else { panic!("refused") };
    assert_eq!(failure.to_string(), "TLS with 10.0.0.7:40000 failed: its first byte took longer than 10.0 s");
    assert_eq!(began.elapsed().as_secs(), 10);
    assert!(scorer.identity.accepted.counts().failed.contains(&(Reason::TimedOut, 1)));
}

#[tokio::test]
async fn tls_demands_an_identity_and_notes_it() {
    let (authority, scorer, terms) = listening();
    let app = Party::new(&authority.issue(APP), &authority.pem());
    let (near, far) = duplex(64 << 10);
    let (upstream, mut peer) = (app.towards(["*"]), peer());
    let connect = upstream.connect(near, name(), &[HTTP2], SERVER, soon());
    let (connected, greeted) = tokio::join!(connect, terms.greet(BufReader::new(far), &mut peer));
    assert!(matches!(greeted, Ok(Greeted::Encrypted(_))));
    assert!(connected.is_ok());
    assert_eq!(peer.identity.unwrap().as_str(), APP);
    assert_eq!(scorer.identity.accepted.counts().plaintext, 0);

    let (near, far) = duplex(64 << 10);
    let nobody = tokio_rustls::TlsConnector::from(Arc::new(foreign::client(None, &[HTTP2])));
    let mut peer = self::peer();
    let (_client, greeted) =
        tokio::join!(nobody.connect(name(), near), terms.greet(BufReader::new(far), &mut peer));
    let Err(failure) = greeted else { panic!("refused") };
    assert_eq!(failure.reason(), Reason::NoCertificate);
}
