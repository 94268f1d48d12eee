//! Files that are replaced: nothing that is open ends, and nothing that begins fails.

use super::*;
use crate::{Connections, Rules};
use infermesh_telemetry::Log;
use std::fs;
use tokio_rustls::rustls::pki_types;

const APP: &str = "spiffe://mesh/ns/shop/sa/app";
const SCORER: &str = "spiffe://mesh/ns/ml/sa/scorer";

fn serial(party: &Party) -> String {
    party.identity.current().facts.serial.clone()
}

#[tokio::test]
async fn an_authority_is_replaced_step_by_step_without_a_failure() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let app = Party::new(&old.issue(APP), &old.pem());
    let scorer = Party::new(&old.issue(SCORER), &old.pem());
    let upstream = app.towards([SCORER]);
    let (mut connected, mut accepted) = meet(&upstream, &scorer.identity).await;
    let both = old.pem() + &new.pem();
    // As it is done in a mesh: first both are trusted, then certificates change hands, then one is trusted.
    let steps: [(&Party, &Authority, &str, &str); 6] = [
        (&app, &old, APP, &both),
        (&scorer, &old, SCORER, &both),
        (&scorer, &new, SCORER, &both),
        (&app, &new, APP, &both),
        (&app, &new, APP, &new.pem()),
        (&scorer, &new, SCORER, &new.pem()),
    ];
    for (party, authority, id, authorities) in steps {
        let before = serial(party);
        party.folder.write(&authority.issue(id), authorities);
        for _ in 0..4 {
            let (mut connected, mut accepted) = meet(&upstream, &scorer.identity).await;
            converse(&mut connected, &mut accepted).await;
        }
        assert_eq!(party.identity.refresh(), Some(Ok(())));
        assert_ne!(serial(party), before);
        let (mut fresh, mut answer) = meet(&upstream, &scorer.identity).await;
        converse(&mut fresh, &mut answer).await;
        converse(&mut connected, &mut accepted).await;
    }
    // Who comes with the old one now comes too late.
    let late = foreign::client(Some(&old.issue(APP)), &[HTTP2]);
    assert_eq!(foreign::visit(late, &scorer.identity).await.unwrap_err().reason(), Reason::UnknownAuthority);
}

/// Writing is not one step, and handshakes do not wait for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handshakes_go_on_while_files_are_followed() {
    let authority = Authority::new("mesh authority");
    let app = Party::new(&authority.issue(APP), &authority.pem());
    let scorer = Party::new(&authority.issue(SCORER), &authority.pem());
    let connections = Arc::new(Connections::new(Rules::default(), 10, Arc::default()));
    let log = Arc::<Log>::default();
    let follows = tokio::spawn(scorer.identity.clone().follow(log.clone(), connections.clone()));
    let upstream = app.towards([SCORER]);
    let first = serial(&scorer);
    scorer.folder.write(&authority.issue(SCORER), &authority.pem());
    let mut handshakes = 0;
    while serial(&scorer) == first {
        let (mut connected, mut accepted) = meet(&upstream, &scorer.identity).await;
        converse(&mut connected, &mut accepted).await;
        handshakes += 1;
        assert!(handshakes < 1_000_000, "the files are not followed");
    }
    let records = tokio::task::spawn_blocking(move || log.take(Duration::from_secs(10))).await.unwrap();
    assert_eq!(records.last().unwrap().action, "tls-reloaded");
    connections.drain();
    follows.await.unwrap();
}

#[tokio::test]
async fn files_that_are_wrong_are_told_of_once_and_change_nothing() {
    let authority = Authority::new("mesh authority");
    let app = Party::new(&authority.issue(APP), &authority.pem());
    let upstream = app.towards(["*"]);
    let first = serial(&app);
    let error = |party: &Party| party.identity.describe(pki_types::UnixTime::now()).reload_error;
    assert_eq!(app.identity.refresh(), None);
    let path = app.folder.path("tls.crt");
    let right = fs::read(&path).unwrap();

    fs::write(&path, "nothing").unwrap();
    assert_eq!(app.identity.refresh(), None);
    let said = error(&app).unwrap();
    assert!(said.contains("tls.crt holds no certificate in PEM"), "{said}");
    assert_eq!(app.identity.refresh(), Some(Err(said.clone())));
    assert_eq!(app.identity.refresh(), None);
    assert_eq!(error(&app), Some(said));
    assert_eq!(serial(&app), first);
    meet(&upstream, &app.identity).await.0.unwrap();

    fs::remove_file(&path).unwrap();
    assert_eq!(app.identity.refresh(), None);
    let Some(Err(said)) = app.identity.refresh() else { panic!("it is gone") };
    assert!(said.contains("cannot read the certificate"), "{said}");
    assert_eq!(app.identity.refresh(), None);

    fs::write(&path, "nothing").unwrap();
    assert_eq!(app.identity.refresh(), None);
    assert!(error(&app).unwrap().contains("holds no certificate in PEM"));

    fs::write(&path, right).unwrap();
    assert_eq!(app.identity.refresh(), Some(Ok(())));
    assert_eq!(error(&app), None);

    // What cannot be read for a while and then is as it was.
    let moved = app.folder.path("moved");
    fs::rename(&path, &moved).unwrap();
    assert_eq!(app.identity.refresh(), None);
    assert!(error(&app).is_some());
    fs::rename(&moved, &path).unwrap();
    assert_eq!(app.identity.refresh(), None);
    assert_eq!(error(&app), None);
}

/// Writing two files is two steps, between which somebody may look.
#[tokio::test]
async fn half_of_a_pair_is_nothing_to_complain_of() {
    let authority = Authority::new("mesh authority");
    let app = Party::new(&authority.issue(APP), &authority.pem());
    let pair = authority.issue(APP);
    fs::write(app.folder.path("tls.crt"), &pair.certificate).unwrap();
    assert_eq!(app.identity.refresh(), None);
    fs::write(app.folder.path("tls.key"), &pair.key).unwrap();
    assert_eq!(app.identity.refresh(), Some(Ok(())));
}

#[tokio::test]
async fn an_identity_describes_itself() {
    let (authority, other) = (Authority::new("mesh authority"), Authority::new("other authority"));
    let hour = authority::HOUR;
    let pair =
        authority.certify(&Workload { uris: &[APP], begins: -3 * hour, ends: hour, ..Workload::default() });
    let app = Party::new(&pair, &(authority.pem() + &other.pem()));
    let now = pki_types::UnixTime::now();
    let said = app.identity.describe(now);
    assert_eq!((said.id.as_str(), &*said.trust_domain), (APP, "mesh"));
    assert_eq!(said.certificate.issuer, "CN=mesh authority");
    assert!(said.certificate.serial.len() >= 16, "{}", said.certificate.serial);
    assert!((0.249..=0.251).contains(&said.life_left), "{}", said.life_left);
    assert!((said.certificate.not_after - now.as_secs()).abs_diff(3_600) <= 5);
    assert!(said.loaded.abs_diff(now.as_secs()) <= 5);
    let authorities: Vec<_> = said.authorities.iter().map(|authority| &*authority.subject).collect();
    assert_eq!(authorities, ["CN=mesh authority", "CN=other authority"]);
    assert!((said.authorities[0].not_after - now.as_secs()).abs_diff(240 * 3_600) <= 5);
}
