"""Linkerd does what mesh.yaml says of callers, and says what it cannot."""

from pathlib import Path
from typing import Any

import pytest
from infermesh.errors import ConfigurationError
from support.kubernetes_render import MESH, Manifests, rendered
from support.kubernetes_schemas import custom_mistakes, missing_custom

#: A mesh whose models nobody outside calls.
INSIDE = MESH.replace("    expose: models.example.com\n", "")


def allowing(*allowances: str) -> str:
    lines = "".join(f"      - {{{it}}}\n" for it in allowances)
    return INSIDE.replace("    health: /healthz\n", f"    allow:\n{lines}")


@pytest.fixture
def manifests(tmp_path: Path) -> Manifests:
    return rendered(tmp_path, "linkerd", INSIDE)


def annotations(manifests: Manifests, kind: str, name: str) -> dict[str, str]:
    found: dict[str, str] = manifests.one(kind, name)["metadata"].get("annotations", {})
    return found


def test_retries_and_timeouts(manifests: Manifests) -> None:
    assert annotations(manifests, "GRPCRoute", "fraud") == {
        "timeout.linkerd.io/request": "90s",
        "retry.linkerd.io/grpc": "unavailable",
        "retry.linkerd.io/limit": "2",
        "retry.linkerd.io/timeout": "250ms",
        "infermesh/not-kept": "outlier, health_check, balance",
    }
    assert manifests.one("GRPCRoute", "fraud")["spec"]["parentRefs"] == [
        {"group": "", "kind": "Service", "name": "fraud", "port": 8001}
    ]


def test_no_limit_where_nobody_shall_retry(manifests: Manifests, tmp_path: Path) -> None:
    assert annotations(manifests, "GRPCRoute", "ranking") == {}
    once = rendered(tmp_path / "once", "linkerd", INSIDE.replace("max_attempts: 3", "max_attempts: 1"))
    assert "retry.linkerd.io/limit" not in annotations(once, "GRPCRoute", "fraud")


def test_a_budget_is_named_as_not_kept(tmp_path: Path) -> None:
    text = INSIDE.replace(
        "max_attempts: 3", "max_attempts: 3, budget_ratio: 0.1, codes: [ABORTED, UNAVAILABLE]"
    )
    found = annotations(rendered(tmp_path, "linkerd", text), "GRPCRoute", "fraud")
    assert "retry.budget_ratio" in found["infermesh/not-kept"]
    assert "retry.codes ABORTED" in found["infermesh/not-kept"]
    assert found["retry.linkerd.io/grpc"] == "unavailable"


def test_breakers(manifests: Manifests) -> None:
    assert annotations(manifests, "Service", "fraud") == {
        "balancer.linkerd.io/failure-accrual": "consecutive",
        "balancer.linkerd.io/failure-accrual-consecutive-max-failures": "4",
        "balancer.linkerd.io/failure-accrual-consecutive-min-penalty": "1s",
        "balancer.linkerd.io/failure-accrual-consecutive-max-penalty": "60s",
    }
    assert annotations(manifests, "Service", "ranking") == {}


def test_a_share_of_successes_where_it_is_said(tmp_path: Path) -> None:
    text = INSIDE.replace("consecutive_failures: 4", "min_success_rate: 0.9")
    found = annotations(rendered(tmp_path, "linkerd", text), "Service", "fraud")
    assert found["balancer.linkerd.io/failure-accrual"] == "unified"
    assert found["balancer.alpha.linkerd.io/failure-accrual-success-rate-threshold"] == "0.9"


def test_no_service_profile_which_would_switch_all_of_it_off(manifests: Manifests) -> None:
    assert not any(it["kind"] == "ServiceProfile" for it in manifests.objects)


def test_proxies_are_there_first_and_last(manifests: Manifests) -> None:
    assert annotations(manifests, "Namespace", "shopping")["linkerd.io/inject"] == "enabled"
    pod = manifests.one("Deployment", "shop")["spec"]["template"]
    assert pod["metadata"]["annotations"]["config.linkerd.io/proxy-enable-native-sidecar"] == "true"
    grace = pod["metadata"]["annotations"]["config.linkerd.io/shutdown-grace-period"]
    assert int(grace.removesuffix("s")) >= 30 + 22


@pytest.mark.parametrize(("name", "ports"), [("shop", "15100"), ("fraud", "8000,8002")])
def test_who_asks_for_metrics_is_seen_as_who_he_is(manifests: Manifests, name: str, ports: str) -> None:
    pod = manifests.one("Deployment", name)["spec"]["template"]
    assert pod["metadata"]["annotations"]["config.linkerd.io/skip-inbound-ports"] == ports


def test_callers_reach_the_proxys_own_port(manifests: Manifests) -> None:
    rules = manifests.one("NetworkPolicy", "fraud")["spec"]["ingress"]
    assert {"protocol": "TCP", "port": 4143} in rules[0]["ports"]


def who(manifests: Manifests, name: str) -> Any:
    policy = manifests.one("AuthorizationPolicy", name)["spec"]
    (reference,) = policy["requiredAuthenticationRefs"]
    return manifests.one("MeshTLSAuthentication", reference["name"])["spec"]


def test_who_says_that_he_calls_is_let_in(manifests: Manifests) -> None:
    assert manifests.one("Server", "fraud")["spec"]["accessPolicy"] == "deny"
    assert who(manifests, "fraud") == {"identityRefs": [{"kind": "ServiceAccount", "name": "shop"}]}
    assert [it["name"] for it in who(manifests, "ranking")["identityRefs"]] == ["shop", "worker"]
    assert who(manifests, "shop") == {"identities": ["*"]}


def test_whom_nobody_calls_refuses_all(tmp_path: Path) -> None:
    lonely = rendered(tmp_path, "linkerd", INSIDE.replace("calls: [fraud, ranking]", "calls: ranking"))
    assert lonely.has("Server", "fraud")
    assert not lonely.has("AuthorizationPolicy", "fraud")


def test_what_is_exposed_is_for_anybody_with_an_identity(tmp_path: Path) -> None:
    assert who(rendered(tmp_path, "linkerd"), "fraud") == {"identities": ["*"]}


def test_what_an_app_allows(tmp_path: Path) -> None:
    worker = "identities: spiffe://checkout.local/worker"
    text = allowing(f"{worker}, paths: /orders/*, methods: [POST, PUT]", f"{worker}, paths: /v1.0")
    manifests = rendered(tmp_path, "linkerd", text)
    assert who(manifests, "shop") == {"identityRefs": [{"kind": "ServiceAccount", "name": "worker"}]}
    assert manifests.one("AuthorizationPolicy", "shop")["spec"]["targetRef"]["kind"] == "HTTPRoute"
    orders, version = manifests.one("HTTPRoute", "shop-allowed")["spec"]["rules"]
    anything = {"type": "RegularExpression", "value": "/orders/.*"}
    assert orders["matches"] == [{"path": anything, "method": "POST"}, {"path": anything, "method": "PUT"}]
    assert version["matches"] == [{"path": {"type": "Exact", "value": "/v1.0"}}]
    if missing_custom() is None:
        assert custom_mistakes(manifests.objects) == []


def test_identities_alone_need_no_route(tmp_path: Path) -> None:
    text = allowing("identities: spiffe://checkout.local/*", "identities: spiffe://elsewhere.example/b")
    manifests = rendered(tmp_path, "linkerd", text)
    assert who(manifests, "shop") == {
        "identities": ["spiffe://elsewhere.example/b"],
        "identityRefs": [{"kind": "Namespace", "name": "shopping"}],
    }
    assert not manifests.has("HTTPRoute", "shop-allowed")


@pytest.mark.parametrize(
    ("allowances", "text"),
    [
        (["identities: spiffe://checkout.local/worker, paths: /a", "paths: /b"], "the same for all"),
        (["identities: spiffe://elsewhere.example/*"], "whole identities"),
    ],
)
def test_what_it_cannot_keep_is_refused(tmp_path: Path, allowances: list[str], text: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"mesh\.yaml:\d+: .*{text}"):
        rendered(tmp_path, "linkerd", allowing(*allowances))
