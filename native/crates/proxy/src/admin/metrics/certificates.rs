//! Of our certificate, those of the authorities, and handshakes.

use infermesh_telemetry::metrics::{Text, text::escaped};
use infermesh_transport::tls::Identity;
use std::collections::BTreeMap;

pub fn write(text: &mut Text, identity: &Identity) {
    let current = identity.current();
    let name = "infermesh_proxy_certificate_expiration_timestamp_seconds";
    text.family(
        name,
        "gauge",
        "When a certificate ends, in seconds since 1970: ours, or that of an authority",
    );
    let mut expiry = |role: &str, subject: &str, seconds: u64| {
        text.sample(name, &format!("role=\"{role}\",subject=\"{}\"", escaped(subject)), seconds);
    };
    expiry("identity", current.id.as_str(), current.facts.not_after);
    // Of authorities that bear one name the first to end.
    let mut authorities = BTreeMap::new();
    for facts in &current.authorities.facts {
        let ends = authorities.entry(&facts.subject[..]).or_insert(facts.not_after);
        *ends = facts.not_after.min(*ends);
    }
    authorities.into_iter().for_each(|(subject, ends)| expiry("authority", subject, ends));
    let sides = [("accepted", identity.accepted.counts()), ("connected", identity.connected.counts())];
    let name = "infermesh_proxy_tls_handshakes_total";
    text.family(name, "counter", "Handshakes of connections that were accepted or made, by how they ended");
    for (side, counts) in &sides {
        let failed = counts.failed.iter().filter(|(_, count)| *count > 0);
        let failed = failed.map(|(reason, count)| (reason.label(), *count));
        for (result, count) in
            [("done", counts.done), ("without_tls", counts.plaintext)].into_iter().chain(failed)
        {
            text.sample(name, &format!("side=\"{side}\",result=\"{result}\""), count);
        }
    }
    let name = "infermesh_proxy_tls_resumptions_total";
    text.family(name, "counter", "Handshakes that went on with an earlier session");
    for (side, counts) in &sides {
        text.sample(name, &format!("side=\"{side}\""), counts.resumed);
    }
}
