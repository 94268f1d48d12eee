"""Consul does what mesh.yaml says of callers, and says what it cannot."""

import json
from pathlib import Path
from typing import Any

import pytest
from infermesh.errors import ConfigurationError
from support.kubernetes_render import MESH, Manifests, rendered
from support.kubernetes_schemas import custom_mistakes, missing_custom

#: A mesh whose models nobody outside calls.
INSIDE = MESH.replace("    expose: models.example.com\n", "")

CONSUL = "consul.hashicorp.com"


def allowing(*allowances: str) -> str:
    lines = "".join(f"      - {{{it}}}\n" for it in allowances)
    return INSIDE.replace("    health: /healthz\n", f"    allow:\n{lines}")


@pytest.fixture
def manifests(tmp_path: Path) -> Manifests:
    return rendered(tmp_path, "consul", INSIDE)


def destination(manifests: Manifests, name: str) -> Any:
    (route,) = manifests.one("ServiceRouter", name)["spec"]["routes"]
    return route["destination"]


def test_retries_and_timeouts(manifests: Manifests) -> None:
    assert destination(manifests, "fraud") == {
        "service": "fraud",
        "requestTimeout": "90s",
        "numRetries": 2,
        "retryOn": ["unavailable", "connect-failure", "reset", "refused-stream"],
    }
    not_kept = manifests.one("ServiceRouter", "fraud")["metadata"]["annotations"]["infermesh/not-kept"]
    assert not_kept == "retry.per_try_timeout, health_check, balance"


def test_no_timeout_is_none_and_not_fifteen_seconds(manifests: Manifests) -> None:
    assert destination(manifests, "ranking") == {"service": "ranking", "requestTimeout": "-1s"}
    found = annotations(manifests, "ranking")
    assert json.loads(found[f"{CONSUL}/proxy-config-map"]) == {"local_request_timeout_ms": 0}


def test_apps_are_not_cut_off_after_fifteen_seconds(manifests: Manifests) -> None:
    assert destination(manifests, "shop") == {
        "service": "shop",
        "requestTimeout": "-1s",
        "numRetries": 2,
        "retryOn": ["connect-failure", "refused-stream"],
    }


def test_breakers_are_the_callers(manifests: Manifests) -> None:
    overrides = manifests.one("ServiceDefaults", "shop")["spec"]["upstreamConfig"]["overrides"]
    fraud, ranking = overrides
    assert fraud["name"] == "fraud"
    assert fraud["limits"]["maxConnections"] == 2
    assert fraud["passiveHealthCheck"] == {
        "interval": "10s",
        "maxFailures": 4,
        "enforcingConsecutive5xx": 100,
        "maxEjectionPercent": 50,
        "baseEjectionTime": "1s",
    }
    assert ranking["passiveHealthCheck"] == {"enforcingConsecutive5xx": 0}
    assert "upstreamConfig" not in manifests.one("ServiceDefaults", "fraud")["spec"]


def test_protocols_and_balancing(manifests: Manifests) -> None:
    assert manifests.one("ServiceDefaults", "fraud")["spec"]["protocol"] == "grpc"
    assert manifests.one("ServiceDefaults", "shop")["spec"]["protocol"] == "http"
    assert manifests.one("ServiceResolver", "fraud")["spec"]["loadBalancer"]["policy"] == "least_request"


def annotations(manifests: Manifests, name: str) -> dict[str, str]:
    found: dict[str, str] = manifests.one("Deployment", name)["spec"]["template"]["metadata"]["annotations"]
    return found


@pytest.mark.parametrize(("name", "port"), [("fraud", "8001"), ("shop", "15106")])
def test_one_port_of_one_service_is_registered(manifests: Manifests, name: str, port: str) -> None:
    found = annotations(manifests, name)
    assert found[f"{CONSUL}/connect-service-port"] == port
    assert found[f"{CONSUL}/kubernetes-service"] == name
    # Where ACLs are on, an account has to be called as its service.
    assert manifests.pod(name)["serviceAccountName"] == name
    services = [
        it
        for it in manifests.objects
        if it["kind"] == "Service" and it["spec"]["selector"] == {"app.kubernetes.io/name": name}
    ]
    assert len(services) == 1


def test_probes_and_metrics_go_past_the_proxy(manifests: Manifests) -> None:
    found = annotations(manifests, "fraud")
    assert found[f"{CONSUL}/transparent-proxy-exclude-inbound-ports"] == "8000,8002"
    assert found[f"{CONSUL}/transparent-proxy-overwrite-probes"] == "false"


def test_callers_reach_the_proxys_own_port(manifests: Manifests) -> None:
    rules = manifests.one("NetworkPolicy", "fraud")["spec"]["ingress"]
    assert {"protocol": "TCP", "port": 20000} in rules[0]["ports"]


def test_nothing_of_the_whole_cluster_is_written(manifests: Manifests) -> None:
    assert not any(it["kind"] in {"Mesh", "ProxyDefaults"} for it in manifests.objects)


def sources(manifests: Manifests, name: str) -> Any:
    return manifests.one("ServiceIntentions", name)["spec"]["sources"]


def test_who_says_that_he_calls_is_let_in(manifests: Manifests) -> None:
    nobody = {"name": "*", "action": "deny"}
    shop, worker = {"name": "shop", "action": "allow"}, {"name": "worker", "action": "allow"}
    assert sources(manifests, "fraud") == [shop, nobody]
    assert sources(manifests, "ranking") == [shop, worker, nobody]
    assert sources(manifests, "shop") == [{"name": "*", "action": "allow"}]


def test_what_an_app_allows(tmp_path: Path) -> None:
    text = allowing(
        "identities: spiffe://checkout.local/worker, paths: /orders/*, methods: POST", "paths: [/status, /a*]"
    )
    manifests = rendered(tmp_path, "consul", text)
    open_to_all = [
        {"action": "allow", "http": {"pathExact": "/status"}},
        {"action": "allow", "http": {"pathPrefix": "/a"}},
    ]
    # A source of its own hides that of everybody.
    orders = {"action": "allow", "http": {"pathPrefix": "/orders/", "methods": ["POST"]}}
    assert sources(manifests, "shop") == [
        {"name": "worker", "permissions": [orders, *open_to_all]},
        {"name": "*", "permissions": open_to_all},
    ]
    if missing_custom() is None:
        assert custom_mistakes(manifests.objects) == []


def test_identities_alone(tmp_path: Path) -> None:
    manifests = rendered(tmp_path, "consul", allowing("identities: spiffe://checkout.local/worker"))
    assert sources(manifests, "shop") == [
        {"name": "worker", "action": "allow"},
        {"name": "*", "action": "deny"},
    ]


def test_an_identity_that_it_has_no_name_for_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"mesh\.yaml:\d+: .*spiffe://elsewhere\.example/b"):
        rendered(tmp_path, "consul", allowing("identities: spiffe://elsewhere.example/b"))
