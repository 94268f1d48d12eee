//! A request that was split is told of as one of the cluster that was asked.

use crate::{
    admin::{admin, json},
    counted::{enrichment, when},
    h2_client::Client,
    h2_upstream::{Exchange, Upstream},
    logged::{field, record},
    running::{Running, cluster, config, route, run},
};
use infermesh_proxy::proto;
use infermesh_wire::proto::inference::{
    ModelInferResponse, ModelMetadataResponse, model_infer_response::InferOutputTensor,
    model_metadata_response::TensorMetadata,
};
use prost::Message;

const METADATA: &str = "/inference.GRPCInferenceService/ModelMetadata";

/// A server with a model that says 0.5 of everything.
async fn model() -> Upstream {
    Upstream::start(|mut exchange: Exchange| async move {
        exchange.receive().await.unwrap();
        let one = |name: &str| TensorMetadata { name: name.into(), datatype: "FP32".into(), shape: vec![1] };
        let message = if exchange.head.uri.path() == METADATA {
            let (inputs, outputs) = (vec![one("amount")], vec![one("score")]);
            ModelMetadataResponse { name: "fraud".into(), inputs, outputs, ..Default::default() }
                .encode_to_vec()
        } else {
            let (name, datatype) = ("score".into(), "FP32".into());
            let score = InferOutputTensor { name, datatype, shape: vec![1], ..Default::default() };
            ModelInferResponse {
                outputs: vec![score],
                raw_output_contents: vec![0.5_f32.to_le_bytes().to_vec().into()],
                ..Default::default()
            }
            .encode_to_vec()
        };
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        exchange.answer([&[0], &length[..], &message].concat()).await;
    })
    .await
}

/// All requests for `app` go to `canary`.
fn split(app: &str, canary: &str) -> proto::ProxyConfig {
    let split = vec![proto::Split { cluster: "canary".into(), millionths: 1_000_000 }];
    let app = proto::Cluster { split, ..cluster("app", &[app]) };
    config(route("app"), vec![app, cluster("canary", &[canary])])
}

#[test]
fn records_numbers_and_states_name_the_cluster_that_was_asked() {
    run(async {
        let (app, canary) = (Upstream::echo().await, Upstream::echo().await);
        let proxy = Running::start(&split(&app.address, &canary.address));
        proxy.proxy().log().set_accesses(true);
        let admin = admin(proxy.proxy());
        Client::connect(&proxy.address).await.call("x").await.ok();
        let record = record(proxy.proxy()).await;
        for (name, expected) in [
            ("infermesh.route", "to-app"),
            ("infermesh.cluster", "canary"),
            ("server.address", &canary.address),
        ] {
            assert_eq!(field(&record, name), Some(expected.into()), "{name}");
        }
        let labels = format!("cluster=\"canary\",endpoint=\"{}\"", canary.address);
        let asked = format!("infermesh_proxy_attempts_total{{{labels},outcome=\"success\"}}");
        when(&admin, &asked, 1.0).await;
        let whole = serde_json::json!({"canary": 1.0});
        let stats = json(&admin, "/stats").await;
        assert_eq!((&stats["routes"][0]["cluster"], &stats["routes"][0]["split"]), (&"app".into(), &whole));
        let endpoints = json(&admin, "/endpoints").await;
        assert_eq!((&endpoints[0]["cluster"], &endpoints[0]["split"]), (&"app".into(), &whole));
        assert_eq!(endpoints[1]["split"], serde_json::json!({}));
        let config = json(&admin, "/config").await;
        assert_eq!(
            config["clusters"][0]["split"],
            serde_json::json!([{"cluster": "canary", "millionths": 1_000_000}])
        );
    });
}

/// What a model takes is asked of the cluster itself; the question about a request is a request.
#[test]
fn questions_of_an_enrichment_are_split() {
    run(async {
        let (app, canary) = (model().await, model().await);
        let behind = Upstream::start(|exchange: Exchange| async move {
            let score = exchange.header("x-score").unwrap_or("none").to_owned();
            exchange.answer(score).await;
        })
        .await;
        let mut given = split(&app.address, &canary.address);
        given.clusters.push(cluster("behind", &[&behind.address]));
        let route = &mut given.listeners[0].routes[0];
        route.cluster = "behind".into();
        route.enrichments = vec![proto::Enrichment { timeout_ns: 10_000_000_000, ..enrichment() }];
        let proxy = Running::start(&given);
        let client = Client::connect(&proxy.address).await;
        for _ in 0..3 {
            assert_eq!(client.call("x").await.text(), "0.5");
        }
        assert_eq!((app.requests(), canary.requests(), behind.requests()), (1, 3, 3));
    });
}
