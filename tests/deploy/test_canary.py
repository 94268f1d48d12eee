"""A canary as each target has it: a workload of its own, and whoever splits is told of the shares."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from infermesh.deploy.compose.ports import LOOPBACK
from infermesh.deploy.compose.project import files as compose_files
from infermesh.deploy.compose.services import Where
from infermesh.deploy.kubernetes.flavours.known import FLAVOURS
from infermesh.deploy.kubernetes.kserve import objects as kserve_objects
from infermesh.deploy.nomad.job import files as nomad_files
from infermesh.deploy.observability.files import files as observability_files
from infermesh.description.read import read
from support.kubernetes_render import NAMESPACE, Manifests
from support.kubernetes_render import rendered as kubernetes
from support.rendered import rendered

MESH = """
name: checkout
images: {tag: "1.2"}
servers:
  fraud:
    models: models
    timeout: 90s
    ports: {grpc: 8001}
    placement: {replicas: 3, gpu: 1, autoscale: {max: 8}}
    environment: {A: "1", B: "1"}
    CANARY
  ranking: {models: "s3://models/ranking"}
apps:
  shop: {image: "registry.example/shop:7", port: 8070, calls: fraud}
  worker: {image: "registry.example/worker:7", port: 8071, calls: ranking}
"""

SAID = 'share: 10%, models: "s3://models/next", placement: {replicas: 1}, environment: {B: "2"}, tag: "1.3"'


def mesh(said: str = SAID, exposed: str = "") -> str:
    return MESH.replace("CANARY", f"canary: {{{said}}}\n    {exposed}")


def sidecar(manifests: Manifests, app: str = "shop") -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(manifests.sidecar(app).read_text(encoding="utf-8"))
    return found


def test_it_is_a_workload_of_its_own(tmp_path: Path) -> None:
    manifests = kubernetes(tmp_path, "none", mesh())
    deployment = manifests.one("Deployment", "fraud-canary")["spec"]
    (container,) = deployment["template"]["spec"]["containers"]
    assert deployment["replicas"] == 1
    assert container["image"] == "infermesh/server-cuda:1.3"
    assert container["args"][:2] == ["serve", "s3://models/next"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    environment = {it["name"]: it["value"] for it in container["env"]}
    assert (environment["A"], environment["B"]) == ("1", "2")
    # A number that is said is meant.
    assert not manifests.has("ScaledObject", "fraud-canary")
    assert manifests.has("ScaledObject", "fraud")
    identity = manifests.one("Certificate", "fraud-canary-identity")["spec"]
    assert identity["uris"] == ["spiffe://checkout.local/fraud-canary"]


def test_sidecars_split_where_nobody_else_does(tmp_path: Path) -> None:
    manifests = kubernetes(tmp_path, "none", mesh())
    found = sidecar(manifests)
    main, canary = found["services"]["fraud"], found["services"]["fraud-canary"]
    assert main["split"] == {"fraud-canary": 0.1}
    assert main["models"] == ["fraud"]
    assert "split" not in canary
    # Names of models lead to the first one alone.
    assert canary["models"] == []
    assert canary["identities"] == ["spiffe://checkout.local/fraud-canary"]
    assert canary["timeout"] == main["timeout"]
    # As without a canary: what names nobody goes to the only server.
    assert found["outbound"]["service"] == "fraud"
    assert "fraud-canary" not in sidecar(manifests, "worker")["services"]
    assert "service" not in sidecar(manifests, "worker")["outbound"]


def test_an_enrichment_asks_the_server_that_it_asked_without_a_canary(tmp_path: Path) -> None:
    enrich = "{model: fraud, inputs: {x: body.a}, outputs: {y: body.b}}"
    routes = f"routes: {{match: {{path: /a}}, enrich: {enrich}}}"
    text = mesh().replace("calls: fraud", f"calls: fraud, enrich: {enrich}, {routes}")
    inbound = sidecar(kubernetes(tmp_path, "none", text))["inbound"]
    (of_all,), ((of_one,),) = inbound["enrich"], [it["enrich"] for it in inbound["routes"]]
    assert of_all["service"] == of_one["service"] == "fraud"


def test_nothing_is_split_at_no_share(tmp_path: Path) -> None:
    services = sidecar(kubernetes(tmp_path, "none", mesh("share: 0%")))["services"]
    assert "split" not in services["fraud"]
    assert services["fraud-canary"]["models"] == []


@pytest.mark.parametrize("flavour", sorted(FLAVOURS.keys() - {"none"}))
def test_sidecars_do_not_split_what_the_mesh_around_splits(tmp_path: Path, flavour: str) -> None:
    services = sidecar(kubernetes(tmp_path, flavour, mesh()))["services"]
    assert services.keys() == {"fraud", "fraud-canary"}
    assert not any("split" in it for it in services.values())


@pytest.mark.parametrize(
    ("share", "weights"), [("10%", [90, 10]), ("2.5%", [9750, 250]), ("0%", [100, 0]), ("100%", [0, 100])]
)
def test_istio_and_linkerd_have_whole_weights(tmp_path: Path, share: str, weights: list[int]) -> None:
    text = mesh(f"share: {share}")
    (http,) = kubernetes(tmp_path, "istio", text).one("VirtualService", "fraud")["spec"]["http"]
    route = kubernetes(tmp_path, "linkerd", text).one("GRPCRoute", "fraud")["spec"]
    ((rule,), (parent,)) = route["rules"], route["parentRefs"]
    assert [it["destination"]["host"] for it in http["route"]] == ["fraud", "fraud-canary"]
    assert [it["weight"] for it in http["route"]] == weights
    assert parent == {"group": "", "kind": "Service", "name": "fraud", "port": 8001}
    assert [(it["name"], it["weight"]) for it in rule["backendRefs"]] == [
        ("fraud", weights[0]),
        ("fraud-canary", weights[1]),
    ]


def test_consul_splits_behind_its_router(tmp_path: Path) -> None:
    manifests = kubernetes(tmp_path, "consul", mesh("share: 2.5%"))
    splits = manifests.one("ServiceSplitter", "fraud")["spec"]["splits"]
    assert splits == [
        {"weight": 97.5, "service": "fraud"},
        {"weight": 2.5, "service": "fraud-canary"},
    ]
    # The router leads to the splitter by its own name, the splitter to resolvers: both have to be there.
    (route,) = manifests.one("ServiceRouter", "fraud")["spec"]["routes"]
    assert route["destination"]["service"] == "fraud"
    for kind in ("ServiceDefaults", "ServiceResolver"):
        assert manifests.one(kind, "fraud-canary")["spec"]
    assert manifests.one("ServiceDefaults", "fraud-canary")["spec"]["protocol"] == "grpc"
    overrides = manifests.one("ServiceDefaults", "shop")["spec"]["upstreamConfig"]["overrides"]
    assert [it["name"] for it in overrides] == ["fraud", "fraud-canary"]


def test_who_may_call_the_server_may_call_its_canary(tmp_path: Path) -> None:
    for flavour in FLAVOURS:
        manifests = kubernetes(tmp_path, flavour, mesh())
        main, canary = (
            manifests.one("NetworkPolicy", name)["spec"]["ingress"] for name in ("fraud", "fraud-canary")
        )
        assert main == canary
    intentions = manifests.one("ServiceIntentions", "fraud-canary")["spec"]["sources"]
    assert intentions == [{"name": "shop", "action": "allow"}, {"name": "*", "action": "deny"}]


def test_who_comes_from_outside_comes_to_the_canary_too(tmp_path: Path) -> None:
    text = mesh(exposed="expose: models.example.com")
    everybody = {"none": None, "istio": "AuthorizationPolicy", "consul": "ServiceIntentions"}
    for flavour, kind in {**everybody, "linkerd": "MeshTLSAuthentication"}.items():
        manifests = kubernetes(tmp_path, flavour, text)
        (rule,) = manifests.one("GRPCRoute", "fraud-outside")["spec"]["rules"]
        assert [(it["name"], it["weight"]) for it in rule["backendRefs"]] == [
            ("fraud", 90),
            ("fraud-canary", 10),
        ]
        assert not manifests.has("GRPCRoute", "fraud-canary-outside")
        policy = manifests.one("NetworkPolicy", "fraud-canary")["spec"]["ingress"][0]
        assert policy["from"] == [{"namespaceSelector": {}}]
        if kind is not None:
            main, canary = (json.dumps(manifests.one(kind, it)["spec"]) for it in ("fraud", "fraud-canary"))
            assert canary.replace("fraud-canary", "fraud") == main


def test_compose_leaves_it_to_sidecars(tmp_path: Path) -> None:
    found = rendered(tmp_path, mesh(), lambda it: compose_files(it, Where("..", LOOPBACK)))
    services = yaml.safe_load(found["compose.yaml"])["services"]
    assert services["fraud-canary"]["image"] == "infermesh/server-cuda:1.3"
    # The port of this machine is the first one's.
    assert "ports" not in services["fraud-canary"]
    shop = yaml.safe_load(found["shop/sidecar.yaml"])["services"]
    assert shop["fraud"]["split"] == {"fraud-canary": 0.1}
    assert shop["fraud-canary"]["dns"] == "fraud-canary:8001"


def test_consul_splits_for_nomad(tmp_path: Path) -> None:
    found = rendered(tmp_path, mesh(), nomad_files)
    assert json.loads(found["consul/fraud.service-splitter.json"]) == {
        "Kind": "service-splitter",
        "Name": "fraud",
        "Splits": [{"Weight": 90, "Service": "fraud"}, {"Weight": 10, "Service": "fraud-canary"}],
    }
    assert "consul/fraud-canary.service-splitter.json" not in found
    # Without it Envoy would cut at 15 s: a resolver's timeout holds where the chain begins with it.
    (route,) = json.loads(found["consul/fraud.service-router.json"])["Routes"]
    assert route == {"Destination": {"Service": "fraud", "RequestTimeout": "86400s"}}
    assert "consul/fraud-canary.service-resolver.json" in found
    shop = yaml.safe_load(found["shop/sidecar.yaml"])["services"]
    assert "split" not in shop["fraud"]
    assert shop["fraud-canary"]["endpoints"] != shop["fraud"]["endpoints"]


def test_kserve_says_that_it_does_not_split(tmp_path: Path) -> None:
    kubernetes(tmp_path, "none", mesh().replace("models: models\n", "models: s3://models/fraud\n"))
    services = {
        it["metadata"]["name"]: it["metadata"]
        for it in kserve_objects(read(tmp_path / "mesh.yaml"), NAMESPACE)
        if it["kind"] == "InferenceService"
    }
    assert services["fraud"]["annotations"] == {"infermesh/not-kept": "split"}
    assert "annotations" not in services["fraud-canary"]


def test_operators_watch_it_by_itself(tmp_path: Path) -> None:
    found = rendered(tmp_path, mesh("share: 10%"), lambda it: observability_files(it, namespace=NAMESPACE))
    (expected, *_) = yaml.safe_load(found["prometheus/infermesh.rules.yml"])["groups"]
    of_canary = {it["record"] for it in expected["rules"] if it["labels"]["workload"] == "fraud-canary"}
    assert of_canary >= {"infermesh:expected_workload", "infermesh:error_budget:ratio"}
    called = [
        it["labels"]["cluster"] for it in expected["rules"] if it["record"] == "infermesh:expected_call"
    ]
    assert called == ["fraud", "fraud-canary", "ranking"]
