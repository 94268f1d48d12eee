"""A policy is somebody's, and nobody else's: nothing retries twice."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from infermesh.deploy.kubernetes.flavours.known import FLAVOURS
from infermesh.settings.document import YamlDocument
from infermesh_sidecar.settings.read import read_settings
from infermesh_sidecar.settings.sidecar import Sidecar
from support.kubernetes_render import MESH, NAMESPACE, Manifests, rendered


def sidecar(manifests: Manifests, app: str) -> Sidecar:
    """As the sidecar itself reads it, which refuses what does not fit together."""
    return read_settings(YamlDocument.read(manifests.sidecar(app)))


def route(manifests: Manifests, name: str) -> dict[str, Any]:
    found: dict[str, Any] = manifests.one("VirtualService", name)["spec"]["http"][0]
    return found


def test_alone_the_sidecar_does_all(tmp_path: Path) -> None:
    fraud = sidecar(rendered(tmp_path, "none"), "shop").services["fraud"]
    assert fraud.retry is not None
    assert fraud.retry.max_attempts == 3
    assert fraud.breaker is not None
    assert fraud.timeout is not None
    assert fraud.outlier is not None
    assert fraud.health_check is not None
    assert fraud.dns is not None
    assert fraud.dns.name == "fraud-pods:8001"


@pytest.mark.parametrize("name", [it for it in FLAVOURS if it != "none"])
def test_what_a_mesh_does_its_sidecars_do_not(tmp_path: Path, name: str) -> None:
    fraud = sidecar(rendered(tmp_path, name), "shop").services["fraud"]
    assert {"retry", "timeout", "breaker", "balance", "tls"} <= FLAVOURS[name].duties
    assert fraud.retry is None
    assert fraud.breaker is None
    assert fraud.timeout is None
    assert fraud.outlier is None
    assert fraud.health_check is None
    assert fraud.concurrency is not None
    assert fraud.dns is not None
    assert fraud.dns.name == "fraud:8001"


def test_an_app_has_its_retries_in_its_own_sidecar_and_istio_sends_again_what_was_never_sent(
    tmp_path: Path,
) -> None:
    text = MESH.replace("    health: /healthz\n", "    health: /healthz\n    retry: {max_attempts: 4}\n")
    manifests = rendered(tmp_path, "istio", text)
    assert "max_attempts: 4" in manifests.sidecar("shop").read_text(encoding="utf-8")
    # Istio's own default would try again after every 503 of the app.
    assert route(manifests, "shop")["retries"] == {"attempts": 2, "retryOn": "connect-failure,refused-stream"}


def test_istio_does_it(tmp_path: Path) -> None:
    manifests = rendered(tmp_path, "istio")
    assert route(manifests, "fraud")["timeout"] == "90s"
    assert route(manifests, "fraud")["retries"] == {
        "attempts": 2,
        "perTryTimeout": "0.25s",
        "retryOn": "unavailable,connect-failure,reset,refused-stream",
        "backoff": "0.025s",
    }
    traffic = manifests.one("DestinationRule", "fraud")["spec"]["trafficPolicy"]
    assert traffic["loadBalancer"] == {"simple": "LEAST_REQUEST"}
    assert traffic["connectionPool"]["tcp"]["maxConnections"] == 6
    assert traffic["connectionPool"]["http"]["http2MaxRequests"] == 64
    assert traffic["outlierDetection"]["consecutive5xxErrors"] == 4
    # One of three, and not a half of them rounded to none.
    assert traffic["outlierDetection"]["maxEjectionPercent"] == 34


def test_istio_does_not_retry_where_nobody_shall(tmp_path: Path) -> None:
    manifests = rendered(tmp_path, "istio")
    assert route(manifests, "ranking")["retries"] == {"attempts": 0}
    once = rendered(tmp_path / "once", "istio", MESH.replace("max_attempts: 3", "max_attempts: 1"))
    assert route(once, "fraud")["retries"] == {"attempts": 0}
    assert "outlierDetection" not in manifests.one("DestinationRule", "ranking")["spec"]["trafficPolicy"]


def test_istio_s_proxy_waits_for_the_longest_request(tmp_path: Path) -> None:
    template = rendered(tmp_path, "istio").one("Deployment", "fraud")["spec"]["template"]
    annotations = template["metadata"]["annotations"]
    proxy = yaml.safe_load(annotations["proxy.istio.io/config"])
    assert proxy["terminationDrainDuration"] == "95s"
    # Kubelet and Prometheus have no identity that STRICT would let in.
    assert annotations["traffic.sidecar.istio.io/excludeInboundPorts"] == "8000,8002"


def test_nobody_is_left_alone_of_whom_there_is_one(tmp_path: Path) -> None:
    alone = rendered(tmp_path, "istio", MESH.replace("replicas: 3, ", ""))
    assert "outlierDetection" not in alone.one("DestinationRule", "fraud")["spec"]["trafficPolicy"]


def sources(manifests: Manifests, name: str) -> list[dict[str, Any]]:
    rules = manifests.one("AuthorizationPolicy", name)["spec"]["rules"]
    return [source["source"] for rule in rules for source in rule.get("from", [])]


def test_istio_lets_in_who_says_that_he_calls(tmp_path: Path) -> None:
    manifests = rendered(tmp_path, "istio", MESH.replace("    expose: models.example.com\n", ""))
    account = f"cluster.local/ns/{NAMESPACE}/sa/"
    assert sources(manifests, "fraud") == [{"principals": [f"{account}shop"]}]
    assert sources(manifests, "ranking") == [{"principals": [f"{account}shop", f"{account}worker"]}]
    assert sources(manifests, "worker") == [{"namespaces": [NAMESPACE]}]
    operation = manifests.one("AuthorizationPolicy", "fraud")["spec"]["rules"][0]["to"][0]["operation"]
    assert operation["ports"] == ["8001"]
    assert "/inference.GRPCInferenceService/*" in operation["paths"]


@pytest.mark.parametrize("flavour", ["none", "istio"])
def test_nobody_is_let_in_to_a_server_that_nobody_calls(tmp_path: Path, flavour: str) -> None:
    text = MESH.replace("    expose: models.example.com\n", "").replace(
        "calls: [fraud, ranking]", "calls: ranking"
    )
    manifests = rendered(tmp_path, flavour, text)
    rules = manifests.one("NetworkPolicy", "fraud")["spec"]["ingress"]
    assert not any(port["port"] == 8001 for rule in rules for port in rule["ports"])
    assert all(rule["from"] for rule in rules)
    if flavour == "istio":
        assert sources(manifests, "fraud") == []


def test_istio_lets_gateways_in_to_what_is_exposed(tmp_path: Path) -> None:
    assert sources(rendered(tmp_path, "istio"), "shop") == [{"principals": ["*"]}]


ALLOW = """
    allow:
      - {identities: spiffe://checkout.local/worker, paths: /orders/*, methods: POST}
      - {identities: spiffe://elsewhere.example/ns/a/sa/b}
      - {paths: /status}
"""


def test_istio_keeps_what_an_app_allows(tmp_path: Path) -> None:
    manifests = rendered(tmp_path, "istio", MESH.replace("    health: /healthz\n", ALLOW))
    rules = manifests.one("AuthorizationPolicy", "shop")["spec"]["rules"]
    assert rules == [
        {
            "from": [{"source": {"principals": [f"cluster.local/ns/{NAMESPACE}/sa/worker"]}}],
            "to": [{"operation": {"ports": ["15106"], "paths": ["/orders/*"], "methods": ["POST"]}}],
        },
        {
            "from": [{"source": {"principals": ["elsewhere.example/ns/a/sa/b"]}}],
            "to": [{"operation": {"ports": ["15106"]}}],
        },
        {"to": [{"operation": {"ports": ["15106"], "paths": ["/status"]}}]},
    ]
    # It could not tell who calls: Istio's proxy has ended the connection.
    assert sidecar(manifests, "shop").inbound[0].allow is None


def test_alone_the_sidecar_keeps_what_an_app_allows(tmp_path: Path) -> None:
    manifests = rendered(tmp_path, "none", MESH.replace("    health: /healthz\n", ALLOW))
    allowed = sidecar(manifests, "shop").inbound[0].allow
    assert allowed is not None
    assert allowed[0].identities == ["spiffe://checkout.local/worker"]


def test_plaintext_is_said_to_all(tmp_path: Path) -> None:
    manifests = rendered(tmp_path, "istio", MESH + "\ntls: off\n")
    assert manifests.one("PeerAuthentication", "default")["spec"] == {"mtls": {"mode": "DISABLE"}}
    assert not manifests.has("AuthorizationPolicy", "fraud")
    assert yaml.safe_load(manifests.sidecar("shop").read_text())["tls"] == "off"
    alone = rendered(tmp_path, "none", MESH + "\ntls: off\n")
    assert not any(it["kind"] == "Certificate" for it in alone.objects)
    assert sidecar(alone, "shop").identity is None
