//! Sessions that go on from before: within the trust they began in, and no longer.

use super::*;
use crate::tls::{
    failure::Why,
    handshake::shake,
    spiffe::SpiffeId,
    verify::{Judge, again},
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        CertificateError, Error,
        pki_types::{CertificateDer, UnixTime},
    },
};

const APP: &str = "spiffe://mesh/ns/shop/sa/app";
const SCORER: &str = "spiffe://mesh/ns/ml/sa/scorer";

/// A handshake and a word in each direction, with which the client learns how the session may go on.
async fn exchange(upstream: &Upstream, server: &Identity) -> (bool, String) {
    let (mut connected, mut accepted) = meet(upstream, server).await;
    converse(&mut connected, &mut accepted).await;
    let (connected, accepted) = (connected.unwrap(), accepted.unwrap());
    assert_eq!(connected.resumed, accepted.resumed);
    assert_eq!(connected.identity.unwrap().as_str(), SCORER);
    (connected.resumed, accepted.identity.unwrap().to_string())
}

#[tokio::test]
async fn a_session_goes_on_with_the_identities_it_began_with() {
    let authority = Authority::new("mesh authority");
    let app = Party::new(&authority.issue(APP), &authority.pem());
    let scorer = Party::new(&authority.issue(SCORER), &authority.pem());
    let upstream = app.towards([SCORER]);
    assert_eq!(exchange(&upstream, &scorer.identity).await, (false, APP.into()));
    assert_eq!(exchange(&upstream, &scorer.identity).await, (true, APP.into()));
    let counts = scorer.identity.accepted.counts();
    assert_eq!((counts.done, counts.resumed), (2, 1));
    assert_eq!(app.identity.connected.counts().resumed, 1);
    // Another cluster may have other servers, so it knows nothing of it.
    assert_eq!(exchange(&app.towards(["*"]), &scorer.identity).await, (false, APP.into()));
}

#[tokio::test]
async fn no_session_outlives_the_files_it_began_with() {
    let authority = Authority::new("mesh authority");
    let app = Party::new(&authority.issue(APP), &authority.pem());
    let scorer = Party::new(&authority.issue(SCORER), &authority.pem());
    let upstream = app.towards([SCORER]);
    exchange(&upstream, &scorer.identity).await;
    let both = authority.pem() + &Authority::new("another").pem();
    for party in [&app, &scorer] {
        assert!(exchange(&upstream, &scorer.identity).await.0);
        let id = party.identity.id();
        party.folder.write(&authority.issue(id.as_str()), &both);
        assert_eq!(party.identity.refresh(), Some(Ok(())));
        assert!(!exchange(&upstream, &scorer.identity).await.0);
    }
    // Not even where the other side still has it: its authority is not trusted any more.
    let foreign = Arc::new(foreign::client(Some(&authority.issue(APP)), &[HTTP2]));
    let call = async |resumes| {
        let (near, far) = duplex(64 << 10);
        let connect = TlsConnector::from(foreign.clone()).connect(name(), near);
        let (client, accepted) = tokio::join!(connect, scorer.identity.accept(BufReader::new(far), CLIENT));
        let (mut client, mut accepted) = (client.unwrap(), accepted?);
        assert_eq!(accepted.resumed, resumes);
        accepted.stream.write_all(b"x").await.unwrap();
        accepted.stream.flush().await.unwrap();
        client.read_u8().await.unwrap();
        Ok::<_, Failure>(())
    };
    call(false).await.unwrap();
    call(true).await.unwrap();
    let next = Authority::new("next");
    scorer.folder.write(&next.issue(SCORER), &next.pem());
    assert_eq!(scorer.identity.refresh(), Some(Ok(())));
    assert_eq!(call(false).await.unwrap_err().reason(), Reason::UnknownAuthority);
}

struct Changed;

impl Judge for Changed {
    fn judge(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<Option<Arc<SpiffeId>>, (Error, Why)> {
        Err((CertificateError::Expired.into(), Why::left()))
    }
}

#[tokio::test]
async fn a_session_that_goes_on_is_judged_like_one_that_begins() {
    let authority = Authority::new("mesh authority");
    let app = Party::new(&authority.issue(APP), &authority.pem());
    let scorer = Party::new(&authority.issue(SCORER), &authority.pem());
    let upstream = app.towards([SCORER]);
    exchange(&upstream, &scorer.identity).await;
    // As if time had passed: who was welcome then is no more.
    let (near, far) = duplex(64 << 10);
    let handshake =
        TlsConnector::from(upstream.config()).with_alpn(vec![HTTP2.to_vec()]).connect(name(), near);
    let shaken = shake(handshake, |stream| stream.get_ref().1, Some(&Changed), "us");
    let (shaken, _accepted) = tokio::join!(shaken, scorer.identity.accept(BufReader::new(far), CLIENT));
    // Had it begun anew, the upstream's own judge would have been asked.
    assert_eq!(shaken.unwrap_err().reason, Reason::Left);
}

#[tokio::test]
async fn after_a_failure_the_next_attempt_begins_anew() {
    let authority = Authority::new("mesh authority");
    let app = Party::new(&authority.issue(APP), &authority.pem());
    let scorer = Party::new(&authority.issue(SCORER), &authority.pem());
    let upstream = app.towards([SCORER]);
    exchange(&upstream, &scorer.identity).await;
    let (near, far) = duplex(64 << 10);
    drop(far);
    upstream.connect(near, name(), &[HTTP2], SERVER, soon()).await.unwrap_err();
    assert!(!exchange(&upstream, &scorer.identity).await.0);
    assert!(exchange(&upstream, &scorer.identity).await.0);
}

#[test]
fn a_certificate_that_has_expired_since_is_seen() {
    let authority = Authority::new("mesh authority");
    let app = Party::new(&authority.issue(APP), &authority.pem());
    let clients = app.identity.current().welcome.clients.clone().unwrap();
    let over =
        authority.certify(&Workload { uris: &[APP], begins: -7_200, ends: -3_600, ..Workload::default() });
    assert_eq!(again(&*clients, &foreign::chain(&over)).unwrap_err().reason, Reason::Expired);
    let good = again(&*clients, &foreign::chain(&authority.issue(APP))).unwrap();
    assert_eq!(good.unwrap().as_str(), APP);
    assert_eq!(again(&*clients, &[]), Ok(None));
}
