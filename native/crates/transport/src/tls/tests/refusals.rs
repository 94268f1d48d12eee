//! Handshakes that fail, and what is said of each: to the log, and to the other side.

use super::*;

const APP: &str = "spiffe://mesh/ns/shop/sa/app";
const SCORER: &str = "spiffe://mesh/ns/ml/sa/scorer";
const DAY: i64 = 24 * authority::HOUR;

fn mesh() -> (Authority, Party) {
    let authority = Authority::new("mesh authority");
    let scorer = Party::new(&authority.issue(SCORER), &authority.pem());
    (authority, scorer)
}

fn check(failure: &Failure, reason: Reason, parts: &[&str]) {
    let said = failure.to_string();
    assert_eq!(failure.reason(), reason, "{said}");
    for part in parts {
        assert!(said.contains(part), "{said:?} has no {part:?}");
    }
    assert!(!said.contains('\n') && said.len() < 1_000, "{said}");
}

/// What a server makes of a client that says this.
async fn greeted(server: &Identity, said: &[u8]) -> Failure {
    let (mut near, far) = duplex(64 << 10);
    near.write_all(said).await.unwrap();
    near.shutdown().await.unwrap();
    server.accept(BufReader::new(far), CLIENT).await.unwrap_err()
}

/// What a client makes of a server that answers like this.
async fn answered(client: &Party, answer: &[u8]) -> Failure {
    let (near, mut far) = duplex(64 << 10);
    let upstream = client.towards(["*"]);
    let serve = async {
        far.read_u8().await.unwrap();
        far.write_all(answer).await.unwrap();
        drop(far);
    };
    tokio::join!(upstream.connect(near, name(), &[HTTP2], SERVER, soon()), serve).0.unwrap_err()
}

#[tokio::test]
async fn a_certificate_that_is_over_tells_since_when() {
    let (authority, scorer) = mesh();
    let pair = authority.certify(&Workload {
        uris: &[APP],
        begins: -9 * DAY,
        ends: -3 * DAY,
        ..Workload::default()
    });
    let failure = foreign::visit(foreign::client(Some(&pair), &[HTTP2]), &scorer.identity).await.unwrap_err();
    check(&failure, Reason::Expired, &[CLIENT, APP, "its certificate (", " expired on 2", "3 days ago"]);
    let failure = foreign::find(&scorer.towards(["*"]), foreign::server(&pair)).await.unwrap_err();
    check(&failure, Reason::Expired, &[SERVER, APP, " expired on 2", "3 days ago"]);
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_yet_blames_the_clocks() {
    let (authority, scorer) = mesh();
    let pair = authority.certify(&Workload { uris: &[APP], begins: 610, ..Workload::default() });
    let failure = foreign::visit(foreign::client(Some(&pair), &[HTTP2]), &scorer.identity).await.unwrap_err();
    check(&failure, Reason::NotYetValid, &[CLIENT, APP, "is not valid before 2", "in 10 min", "clocks"]);
}

#[tokio::test]
async fn an_unknown_authority_is_named_beside_those_that_are_known() {
    let (authority, scorer) = mesh();
    let other = Authority::new("other authority");
    let expected = [
        APP,
        "was issued by 'CN=other authority', which is not trusted",
        "trusted here: 'CN=mesh authority'",
    ];
    let pair = other.issue(APP);
    let failure = foreign::visit(foreign::client(Some(&pair), &[HTTP2]), &scorer.identity).await.unwrap_err();
    check(&failure, Reason::UnknownAuthority, &expected);
    let failure = foreign::find(&scorer.towards(["*"]), foreign::server(&pair)).await.unwrap_err();
    check(&failure, Reason::UnknownAuthority, &expected);
    // It is the end of the chain that is unknown.
    let between = other.below("between");
    let mut pair = between.issue(APP);
    pair.certificate += &between.pem();
    let failure = foreign::visit(foreign::client(Some(&pair), &[HTTP2]), &scorer.identity).await.unwrap_err();
    check(&failure, Reason::UnknownAuthority, &expected);
    // An authority that was made anew under the same name has another key.
    let pair = Authority::new("mesh authority").issue(APP);
    let failure = foreign::visit(foreign::client(Some(&pair), &[HTTP2]), &scorer.identity).await.unwrap_err();
    check(
        &failure,
        Reason::UnknownAuthority,
        &["'CN=mesh authority' whose key is not that of the one that is trusted"],
    );
    drop(authority);
}

#[tokio::test]
async fn a_client_that_is_refused_learns_why_from_the_alert() {
    let (authority, scorer) = mesh();
    let other = Authority::new("other authority");
    // It trusts the server's authority, which does not trust its own.
    let stranger = Party::new(&other.issue(APP), &authority.pem());
    let (connected, accepted) = meet(&stranger.towards(["*"]), &scorer.identity).await;
    check(&accepted.unwrap_err(), Reason::UnknownAuthority, &[CLIENT]);
    let failure = told(connected, &stranger.identity).await;
    let expected =
        "it does not trust the authority of spiffe://mesh/ns/shop/sa/app (issued by 'CN=other authority')";
    check(&failure, Reason::Refused, &[SERVER, expected]);
    let guest = Party::of_domain(&authority.issue("spiffe://guests/a"), &authority.pem(), Some("mesh"));
    let (connected, accepted) = meet(&guest.towards(["*"]), &scorer.identity).await;
    check(&accepted.unwrap_err(), Reason::TrustDomain, &["spiffe://guests/a"]);
    check(&told(connected, &guest.identity).await, Reason::Refused, &["it does not allow spiffe://guests/a"]);
}

#[tokio::test]
async fn a_client_without_a_certificate_has_to_prove_who_it_is() {
    let (_authority, scorer) = mesh();
    let failure = foreign::visit(foreign::client(None, &[HTTP2]), &scorer.identity).await.unwrap_err();
    check(&failure, Reason::NoCertificate, &[CLIENT, "presents no certificate"]);
}

#[tokio::test]
async fn a_client_that_speaks_plaintext_is_quoted() {
    let (_authority, scorer) = mesh();
    for (said, quoted) in [
        (&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], "HTTP without TLS: it begins with 'PRI * HTTP/2.0'"),
        (b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", "HTTP without TLS: it begins with 'GET / HTTP/1.1'"),
        (b"OPTIONS * HTTP/1.1\r\n", "HTTP without TLS"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "no TLS: it begins with 'SSH-2.0-OpenSSH_9.6"),
        (b"\0\0\0", "no TLS: it begins with '\\x00\\x00\\x00'"),
    ] {
        check(&greeted(&scorer.identity, said).await, Reason::Plaintext, &[CLIENT, quoted]);
    }
}

#[tokio::test]
async fn a_server_that_answers_in_plaintext_is_told_from_one_that_closes() {
    let (_authority, scorer) = mesh();
    let plain = ["it does not answer in TLS: it speaks plaintext"];
    for answer in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80\0\x04\0\x01\0\0\0\x05\0\xff\xff\xff",
    ] {
        check(&answered(&scorer, answer).await, Reason::Plaintext, &plain);
    }
    let closes = ["closed the connection during the handshake", "it may want no TLS", SCORER];
    check(&answered(&scorer, b"").await, Reason::Closed, &closes);
    // Half a record.
    check(&answered(&scorer, b"\x16\x03\x03\0\x20").await, Reason::Closed, &closes);
}

#[tokio::test]
async fn who_connects_and_says_nothing_is_no_failure_to_hear_of() {
    let (_authority, scorer) = mesh();
    let failure = greeted(&scorer.identity, b"").await;
    check(&failure, Reason::Left, &[]);
    assert!(failure.is_quiet());
    let failure = greeted(&scorer.identity, b"\x16\x03\x01").await;
    check(&failure, Reason::Closed, &[]);
    assert!(!failure.is_quiet());
}

#[tokio::test]
async fn versions_before_tls_1_2_are_told_so() {
    let (_authority, scorer) = mesh();
    // RFC 2246, section 7.4.1.2: a ClientHello of TLS 1.0 with one cipher, no session and no extensions.
    let mut hello = vec![3, 1];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0, 0x2f, 1, 0]);
    let mut record = vec![0x16, 3, 1, 0, hello.len() as u8 + 4, 1, 0, 0, hello.len() as u8];
    record.extend(hello);
    check(&greeted(&scorer.identity, &record).await, Reason::Incompatible, &["neither TLS 1.2 nor 1.3"]);
    // The alert that servers of other makes send: protocol_version, fatal.
    let answer = b"\x15\x03\x01\0\x02\x02\x46";
    check(&answered(&scorer, answer).await, Reason::Incompatible, &["neither TLS 1.2 nor 1.3"]);
    check(
        &answered(&scorer, b"\x15\x03\x03\0\x02\x02\x28").await,
        Reason::Incompatible,
        &["no cipher in common"],
    );
}

/// Time passes only where everybody waits.
#[tokio::test(start_paused = true)]
async fn nobody_waits_for_longer_than_ten_seconds() {
    let (_authority, scorer) = mesh();
    for said in [&b""[..], b"\x16", b"\x16\x03\x01\0\x20\x01"] {
        let (mut near, far) = duplex(64 << 10);
        near.write_all(said).await.unwrap();
        let began = Instant::now();
        let failure = scorer.identity.accept(BufReader::new(far), CLIENT).await.unwrap_err();
        check(&failure, Reason::TimedOut, &["took longer than 10.0 s"]);
        assert_eq!(began.elapsed().as_secs(), 10);
    }
    let (near, _far) = duplex(64 << 10);
    let upstream = scorer.towards(["*"]);
    let began = Instant::now();
    let connected =
        upstream.connect(near, name(), &[HTTP2], SERVER, began + Duration::from_millis(1_500)).await;
    check(&connected.unwrap_err(), Reason::TimedOut, &["the handshake took longer than 1.5 s"]);
    assert_eq!(began.elapsed().as_millis(), 1_500);
}

#[tokio::test]
async fn failures_are_counted_by_reason() {
    let (authority, scorer) = mesh();
    greeted(&scorer.identity, b"GET / HTTP/1.1\r\n").await;
    greeted(&scorer.identity, b"GET / HTTP/1.1\r\n").await;
    greeted(&scorer.identity, b"").await;
    foreign::visit(foreign::client(None, &[HTTP2]), &scorer.identity).await.unwrap_err();
    foreign::visit(foreign::client(Some(&authority.issue(APP)), &[HTTP2]), &scorer.identity).await.unwrap();
    let counts = scorer.identity.accepted.counts();
    let failed: Vec<_> = counts.failed.into_iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(failed, [(Reason::NoCertificate, 1), (Reason::Plaintext, 2), (Reason::Left, 1)]);
    assert_eq!((counts.done, counts.resumed), (1, 0));
    answered(&scorer, b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let failed: u64 = scorer.identity.connected.counts().failed.iter().map(|(_, count)| count).sum();
    assert_eq!(failed, 1);
}

#[test]
fn every_reason_is_listed_where_it_is_counted() {
    for (index, reason) in Reason::ALL.into_iter().enumerate() {
        assert_eq!(reason as usize, index, "{}", reason.label());
    }
}
