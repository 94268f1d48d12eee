//! Who gets to speak with whom.

use super::*;
use rcgen::ExtendedKeyUsagePurpose as Usage;

const APP: &str = "spiffe://mesh/ns/shop/sa/app";
const SCORER: &str = "spiffe://mesh/ns/ml/sa/scorer";

/// A mesh of one client, and the authority for its servers.
fn app() -> (Authority, Party) {
    let authority = Authority::new("mesh authority");
    let app = Party::new(&authority.issue(APP), &authority.pem());
    (authority, app)
}

/// The identity that the app takes a server for that has this certificate.
async fn seen<const N: usize>(
    authority: &Authority,
    app: &Party,
    allowed: [&str; N],
    workload: Workload<'_>,
) -> Result<Option<String>, (Reason, String)> {
    let server = foreign::server(&authority.certify(&workload));
    match foreign::find(&app.towards(allowed), server).await {
        Ok(secured) => Ok(secured.identity.map(|id| id.to_string())),
        Err(failure) => Err((failure.reason(), failure.to_string())),
    }
}

#[tokio::test]
async fn two_of_a_trust_domain_know_each_other() {
    let (authority, app) = app();
    let scorer = Party::new(&authority.issue(SCORER), &authority.pem());
    for allowed in ["spiffe://mesh/ns/ml/*", SCORER, "*"] {
        let (mut connected, mut accepted) = meet(&app.towards([allowed]), &scorer.identity).await;
        converse(&mut connected, &mut accepted).await;
        let (connected, accepted) = (connected.unwrap(), accepted.unwrap());
        assert_eq!(connected.identity.unwrap().as_str(), SCORER);
        assert_eq!(accepted.identity.unwrap().as_str(), APP);
    }
    assert_eq!(scorer.identity.accepted.counts().done, 3);
    assert_eq!(app.identity.connected.counts().done, 3);
}

#[tokio::test]
async fn a_chain_may_have_authorities_between() {
    let root = Authority::new("root");
    let between = root.below("between");
    let mut pair = between.issue(SCORER);
    pair.certificate += &between.pem();
    let scorer = Party::new(&pair, &root.pem());
    let app = Party::new(&root.issue(APP), &root.pem());
    let (mut connected, mut accepted) = meet(&app.towards([SCORER]), &scorer.identity).await;
    converse(&mut connected, &mut accepted).await;
    // And in the other direction.
    let (mut connected, mut accepted) = meet(&scorer.towards([APP]), &app.identity).await;
    converse(&mut connected, &mut accepted).await;
}

#[tokio::test]
async fn a_server_that_is_not_allowed_is_named_with_those_that_are() {
    let (authority, app) = app();
    let other = Party::new(&authority.issue("spiffe://mesh/ns/mlops/sa/x"), &authority.pem());
    let (connected, accepted) = meet(&app.towards(["spiffe://mesh/ns/ml/*"]), &other.identity).await;
    let failure = connected.unwrap_err();
    assert_eq!(failure.reason(), Reason::NotAllowed);
    assert_eq!(
        failure.to_string(),
        "TLS with 10.0.0.8:8443 failed: it is spiffe://mesh/ns/mlops/sa/x, which is not allowed here: \
         expected spiffe://mesh/ns/ml/*"
    );
    // The other side is told by the alert.
    let told = accepted.unwrap_err();
    assert_eq!(told.reason(), Reason::Refused);
    assert_eq!(
        told.to_string(),
        "TLS with 10.0.0.7:40000 failed: it does not allow spiffe://mesh/ns/mlops/sa/x (issued by \
         'CN=mesh authority')"
    );
}

#[tokio::test]
async fn identities_of_another_trust_domain_are_refused_though_the_authority_is_trusted() {
    let (authority, app) = app();
    let pair = authority.issue("spiffe://other/ns/ml/sa/scorer");
    let other = Party::of_domain(&pair, &authority.pem(), Some("other"));
    let (connected, _) = meet(&app.towards(["*"]), &other.identity).await;
    let failure = connected.unwrap_err();
    assert_eq!(failure.reason(), Reason::TrustDomain);
    assert!(
        failure
            .to_string()
            .ends_with("it is spiffe://other/ns/ml/sa/scorer, which is not of the trust domain 'mesh'"),
        "{failure}"
    );
    let accepted = foreign::visit(foreign::client(Some(&pair), &[HTTP2]), &app.identity).await;
    assert_eq!(accepted.unwrap_err().reason(), Reason::TrustDomain);
    // A mesh that has the authorities of another one takes those that are from there.
    let federated = Party::of_domain(&authority.issue(APP), &authority.pem(), Some("other"));
    let (mut connected, mut accepted) = meet(
        &federated.towards(["spiffe://other/*"]),
        &Party::of_domain(&pair, &authority.pem(), Some("mesh")).identity,
    )
    .await;
    converse(&mut connected, &mut accepted).await;
}

#[tokio::test]
async fn certificates_without_the_id_of_a_workload_say_what_they_have() {
    let (authority, app) = app();
    let dns = ["foo", "bar.example"];
    for (workload, why) in [
        (
            Workload { dns: &dns, ..Workload::default() },
            "its certificate has no SPIFFE id: its names are DNS:foo, DNS:bar.example; expected one of \
             'spiffe://mesh/'",
        ),
        (
            Workload::default(),
            "its certificate has no SPIFFE id: it has no names; expected one of 'spiffe://mesh/'",
        ),
        (
            Workload { uris: &[SCORER, APP], ..Workload::default() },
            "its certificate has no SPIFFE id of a workload: it has 2 URIs, where a workload has one: \
             spiffe://mesh/ns/ml/sa/scorer, spiffe://mesh/ns/shop/sa/app",
        ),
        (
            Workload { uris: &["https://mesh/a"], ..Workload::default() },
            "its certificate has no SPIFFE id of a workload: 'https://mesh/a' is no SPIFFE id: expected \
             'spiffe://TRUST-DOMAIN/PATH'",
        ),
        (
            Workload { uris: &["spiffe://mesh"], ..Workload::default() },
            "its certificate has no SPIFFE id of a workload: 'spiffe://mesh' is no SPIFFE id: it has no path; \
             only an authority is named by its trust domain alone",
        ),
    ] {
        let pair = authority.certify(&workload);
        let accepted = foreign::visit(foreign::client(Some(&pair), &[HTTP2]), &app.identity).await;
        let failure = accepted.unwrap_err();
        assert_eq!(failure.to_string(), format!("TLS with {CLIENT} failed: {why}"));
        assert_eq!(failure.reason(), Reason::NoIdentity);
        let (reason, said) = seen(&authority, &app, [], workload).await.unwrap_err();
        assert_eq!(said, format!("TLS with {SERVER} failed: {why}"));
        assert_eq!(reason, Reason::NoIdentity);
    }
}

#[tokio::test]
async fn an_authority_does_not_speak_for_a_workload() {
    let (authority, app) = app();
    let workload = Workload { uris: &[SCORER], is_authority: true, ..Workload::default() };
    let (reason, said) = seen(&authority, &app, ["*"], workload).await.unwrap_err();
    assert_eq!(reason, Reason::BadCertificate);
    assert!(said.contains("is an authority's"), "{said}");
    let pair = authority.certify(&Workload { uris: &[SCORER], is_authority: true, ..Workload::default() });
    let folder = Folder::new();
    folder.write(&pair, &authority.pem());
    let said = folder.identity(None).unwrap_err();
    assert!(said.contains("tls.crt is no workload's") && said.contains("may sign certificates"), "{said}");
}

#[tokio::test]
async fn a_certificate_serves_the_purpose_it_was_issued_for() {
    let (authority, app) = app();
    let client = Workload { uris: &[SCORER], usages: &[Usage::ClientAuth], ..Workload::default() };
    let (reason, said) = seen(&authority, &app, ["*"], client).await.unwrap_err();
    assert_eq!(reason, Reason::BadCertificate);
    assert!(said.contains("server authentication") && said.contains(SCORER), "{said}");
    let server = Workload { uris: &[SCORER], usages: &[Usage::ServerAuth], ..Workload::default() };
    let visitor = foreign::client(Some(&authority.certify(&server)), &[HTTP2]);
    let failure = foreign::visit(visitor, &app.identity).await.unwrap_err();
    assert_eq!(failure.reason(), Reason::BadCertificate);
    assert!(failure.to_string().contains("client authentication"), "{failure}");
    let any = Workload { uris: &[SCORER], usages: &[], ..Workload::default() };
    assert_eq!(seen(&authority, &app, ["*"], any).await, Ok(Some(SCORER.into())));
}

#[tokio::test]
async fn a_server_without_an_id_may_be_known_by_its_name() {
    let (authority, app) = app();
    let named = || Workload { dns: &["models.example", "*.models.example"], ..Workload::default() };
    assert_eq!(seen(&authority, &app, ["dns:models.example"], named()).await, Ok(None));
    assert_eq!(seen(&authority, &app, ["dns:a.models.example"], named()).await, Ok(None));
    assert_eq!(seen(&authority, &app, [SCORER, "dns:models.example"], named()).await, Ok(None));
    let (reason, said) = seen(&authority, &app, [SCORER, "dns:other.example"], named()).await.unwrap_err();
    assert_eq!(reason, Reason::NoIdentity);
    assert!(
        said.contains("DNS:models.example") && said.contains(&format!("{SCORER} or dns:other.example")),
        "{said}"
    );
    // One that has an id may be known by either, but is of our trust domain in any case.
    let both = || Workload { uris: &[SCORER], ..named() };
    assert_eq!(seen(&authority, &app, ["dns:models.example"], both()).await, Ok(Some(SCORER.into())));
    let (reason, _) = seen(&authority, &app, ["dns:other.example"], both()).await.unwrap_err();
    assert_eq!(reason, Reason::NotAllowed);
    let stranger = Workload { uris: &["spiffe://other/a"], ..named() };
    let (reason, _) = seen(&authority, &app, ["dns:models.example"], stranger).await.unwrap_err();
    assert_eq!(reason, Reason::TrustDomain);
    // A name is for servers alone: a client has an id.
    let visitor = foreign::client(Some(&authority.certify(&named())), &[HTTP2]);
    assert_eq!(foreign::visit(visitor, &app.identity).await.unwrap_err().reason(), Reason::NoIdentity);
}

#[tokio::test]
async fn both_versions_of_http_are_spoken_and_http2_is_preferred() {
    let (authority, app) = app();
    let pair = authority.issue(SCORER);
    let offers: [(&[&[u8]], _); 4] = [
        (&[HTTP1, HTTP2], Some(HTTP2)),
        (&[HTTP1], Some(HTTP1)),
        (&[b"h3", HTTP1], Some(HTTP1)),
        (&[], None),
    ];
    for (offered, agreed) in offers {
        let visitor = foreign::client(Some(&pair), offered);
        let accepted = foreign::visit(visitor, &app.identity).await.unwrap();
        assert_eq!(accepted.stream.get_ref().1.alpn_protocol(), agreed);
    }
    let failure = foreign::visit(foreign::client(Some(&pair), &[b"h3"]), &app.identity).await.unwrap_err();
    assert_eq!(failure.reason(), Reason::Incompatible);
    assert!(failure.to_string().contains("no application protocol that is spoken here"), "{failure}");
    // Our own clients offer what they are to speak.
    let (near, far) = duplex(64 << 10);
    let upstream = app.towards(["*"]);
    let connect = upstream.connect(near, name(), &[HTTP1], SERVER, soon());
    let (connected, _accepted) = tokio::join!(connect, app.identity.accept(BufReader::new(far), CLIENT));
    assert_eq!(connected.unwrap().stream.get_ref().1.alpn_protocol(), Some(HTTP1));
}

#[test]
fn an_identity_needs_files_that_make_one() {
    let authority = Authority::new("mesh authority");
    let folder = Folder::new();
    let cases = [
        (authority.issue(APP), authority.pem(), Some("Mesh"), "'Mesh' is no trust domain"),
        (authority.issue(APP), String::new(), None, "ca.crt holds no certificate in PEM"),
        (
            authority.certify(&Workload { dns: &["app"], ..Workload::default() }),
            authority.pem(),
            None,
            "tls.crt has no SPIFFE id: its names are DNS:app; expected a URI like \
             'spiffe://TRUST-DOMAIN/PATH'",
        ),
        (
            authority.certify(&Workload { uris: &[APP, SCORER], ..Workload::default() }),
            authority.pem(),
            None,
            "tls.crt is no workload's: it has 2 URIs",
        ),
        (
            authority.certify(&Workload {
                uris: &[APP],
                begins: -7_200,
                ends: -3_600,
                ..Workload::default()
            }),
            authority.pem(),
            None,
            "tls.crt expired on ",
        ),
        (
            authority.certify(&Workload { uris: &[APP], begins: 3_600, ..Workload::default() }),
            authority.pem(),
            None,
            "tls.crt is not valid before ",
        ),
        (
            Pair { key: authority.issue(APP).key, ..authority.issue(APP) },
            authority.pem(),
            None,
            "does not fit the certificate",
        ),
    ];
    for (pair, authorities, domain, why) in cases {
        folder.write(&pair, &authorities);
        let said = folder.identity(domain).unwrap_err();
        assert!(said.contains(why), "{said}");
    }
}
