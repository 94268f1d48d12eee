//! Who this proxy is to its peers, whom it trusts, and how handshakes went.

use crate::shared::Shared;
use infermesh_transport::tls::{Counts, Facts, Identity, date};
use rustls::pki_types::UnixTime;
use serde_json::{Map, Value, json};

/// `identity` is null for a proxy that speaks plaintext.
pub fn of(shared: &Shared, now: UnixTime) -> Value {
    json!({ "identity": shared.identity.as_ref().map(|identity| described(identity, now)) })
}

fn described(identity: &Identity, now: UnixTime) -> Value {
    let found = identity.describe(now);
    json!({
        "id": found.id.as_str(),
        "trust_domain": found.trust_domain,
        "certificate": certificate(&found.certificate, now),
        "life_left": found.life_left,
        "loaded": date(found.loaded),
        "reload_error": found.reload_error,
        "authorities": found.authorities.iter().map(|facts| certificate(facts, now)).collect::<Vec<_>>(),
        "handshakes": {
            "accepted": handshakes(&identity.accepted.counts()),
            "connected": handshakes(&identity.connected.counts()),
        },
    })
}

fn certificate(facts: &Facts, now: UnixTime) -> Value {
    json!({
        "subject": facts.subject,
        "issuer": facts.issuer,
        "serial": facts.serial,
        "not_before": date(facts.not_before),
        "not_after": date(facts.not_after),
        "seconds_left": facts.not_after.saturating_sub(now.as_secs()),
    })
}

/// Reasons that never occurred are left out.
fn handshakes(counts: &Counts) -> Value {
    let failed = counts.failed.iter().filter(|(_, count)| *count > 0);
    let failed: Map<_, _> =
        failed.map(|(reason, count)| (reason.label().to_owned(), (*count).into())).collect();
    json!({ "done": counts.done, "resumed": counts.resumed, "without_tls": counts.plaintext, "failed": failed })
}
