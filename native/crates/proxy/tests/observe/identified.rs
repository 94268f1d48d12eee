//! Who is at either end.

use crate::{
    admin::{admin, json},
    counted::when,
    h2_client::Client,
    h2_upstream::Upstream,
    identities::Domain,
    logged::{field, record},
    running::{Running, forward, run},
};
use infermesh_proxy::proto;

#[test]
fn a_peer_is_known_by_its_identity_and_so_are_we() {
    run(async {
        let domain = Domain::new("test authority");
        let app = Upstream::echo().await;
        let mut config = forward(&[&app.address]);
        config.identity = Some(domain.identity("spiffe://shop/fraud"));
        config.listeners[0].tls = proto::ListenerTls::Mutual as i32;
        let inbound = Running::start(&config);
        inbound.proxy().log().set_accesses(true);
        let mut config = forward(&[&inbound.address]);
        config.identity = Some(domain.identity("spiffe://shop/checkout"));
        config.clusters[0].tls = Some(proto::UpstreamTls::default());
        let outbound = Running::start(&config);
        Client::connect(&outbound.address).await.call("x").await.ok();

        let record = record(inbound.proxy()).await;
        assert_eq!(field(&record, "client.user.id"), Some("spiffe://shop/checkout".into()));

        let address = admin(inbound.proxy());
        let found = json(&address, "/certificates").await;
        let identity = &found["identity"];
        assert_eq!(
            (&identity["id"], &identity["trust_domain"]),
            (&"spiffe://shop/fraud".into(), &"shop".into())
        );
        assert!(identity["life_left"].as_f64().unwrap() > 0.5 && identity["reload_error"].is_null());
        assert!(identity["certificate"]["seconds_left"].as_u64().unwrap() > 0);
        let subject = identity["authorities"][0]["subject"].as_str().unwrap().to_owned();
        assert!(subject.contains("test authority"), "{subject}");
        assert_eq!(identity["handshakes"]["accepted"]["done"], 1);
        // Keys stay where they are.
        let config = json(&address, "/config").await.to_string();
        assert!(config.contains("shop-fraud.key") && !config.contains("PRIVATE"), "{config}");

        let done = "infermesh_proxy_tls_handshakes_total{side=\"accepted\",result=\"done\"}";
        let found = when(&address, done, 1.0).await;
        let ends = "infermesh_proxy_certificate_expiration_timestamp_seconds";
        assert!(found.value(&format!("{ends}{{role=\"identity\",subject=\"spiffe://shop/fraud\"}}")) > 1.7e9);
        assert!(found.value(&format!("{ends}{{role=\"authority\",subject=\"{subject}\"}}")) > 1.7e9);
    });
}
