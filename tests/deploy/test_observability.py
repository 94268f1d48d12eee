"""What is rendered for operators, beside a mesh that runs: metrics, log, a Prometheus that reads them."""

import contextlib
import itertools
import json
import re
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from infermesh.deploy import yaml_text
from infermesh.deploy.observability import scrape
from infermesh.deploy.observability.dashboards import dashboards
from infermesh.deploy.observability.logs.fields import FIELDS
from infermesh.deploy.observability.rules import rules
from infermesh.description.workload import INBOUND
from support.client import floats, request
from support.prometheus import Prometheus, Sample, needs_prometheus, running
from support.small_mesh import SmallMesh, small_mesh

#: Only where there is a GPU.
GPU = {f"nv_gpu_{what}" for what in ("memory_total_bytes", "memory_used_bytes", "power_usage", "utilization")}
#: Prometheus' own.
OWN = {"up", "ALERTS"}

_METRIC = re.compile(r"(?<![:\w])((?:infermesh|nv|process)_\w+)(?![:\w])")


@contextlib.contextmanager
def load(shop: SmallMesh) -> Iterator[None]:
    """Requests in both directions, one after another, while the block lasts."""
    ended = threading.Event()
    failures: list[BaseException] = []

    def call() -> None:
        url = f"http://127.0.0.1:{shop.sidecar.port(INBOUND)}/orders"
        try:
            for number in itertools.count():
                # The second of two requests is known already.
                shop.client.infer(request("scale", x=floats(1 + number // 2 % 2, 1) + number // 2))
                urllib.request.urlopen(url, timeout=20).close()
                if ended.wait(0.01):
                    return
        except (OSError, grpc.RpcError) as error:
            failures.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    assert failures == []


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallMesh]:
    with small_mesh(tmp_path_factory.mktemp("shop")) as found:
        yield found


@contextlib.contextmanager
def watching(shop: SmallMesh, folder: Path) -> Iterator[Prometheus]:
    """A real Prometheus with all rules, that scrapes the mesh."""
    (folder / "rules.yml").write_text(yaml_text.one(rules(shop.description)))
    jobs = scrape.static(shop.description, shop.targets)
    configuration = scrape.configuration(jobs, ["rules.yml"])
    configuration["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
    (folder / "prometheus.yml").write_text(yaml_text.one(configuration))
    with running(folder / "prometheus.yml", folder) as found:
        yield found


@pytest.fixture(scope="module")
def prometheus(shop: SmallMesh, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """One that sees it under load."""
    with load(shop), watching(shop, tmp_path_factory.mktemp("prometheus")) as found:
        yield found


def families(address: str) -> set[str]:
    """Of which metrics there is a description at /metrics."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=20) as answer:
        return set(re.findall(r"^# TYPE (\S+)", answer.read().decode(), re.MULTILINE))


def asked(shop: SmallMesh) -> set[str]:
    """The metrics that rules and dashboards ask for."""
    found = [rule["expr"] for group in rules(shop.description)["groups"] for rule in group["rules"]]
    for text in dashboards().values():
        for panel in json.loads(text)["panels"]:
            found += [target["expr"] for target in panel.get("targets", [])]
    names = {name for expression in found for name in _METRIC.findall(expression)}
    return {
        re.sub(r"_(bucket|sum|count)$", "", name) if "seconds_" in name or "batch_" in name else name
        for name in names
    }


def test_each_metric_that_is_asked_for_is_told(shop: SmallMesh) -> None:
    told = families(shop.targets["fraud"][0]) | families(shop.targets["checkout"][0])
    assert {"infermesh_proxy_tls_handshakes_total", "infermesh_batch_rows"} <= asked(shop)
    assert asked(shop) - told - GPU == set()


@needs_prometheus
def test_workloads_are_seen_by_themselves_and_by_their_callers(prometheus: Prometheus) -> None:
    found = prometheus.wait_for("workload:infermesh_requests:rate5m > 0", lambda it: len(it) == 3)
    assert {(labels["workload"], labels["view"]) for labels, _ in found} == {
        ("fraud", "own"),
        ("fraud", "callers"),
        ("checkout", "own"),
    }
    failing = prometheus.wait_for("workload:infermesh_error_ratio:rate5m", lambda it: len(it) == 3)
    assert [value for _, value in failing] == [0, 0, 0]
    slowest = prometheus.wait_for(
        "workload:infermesh_request_duration_seconds:p99_5m > 0", lambda it: len(it) == 3
    )
    assert all(0 < value < 20 for _, value in slowest)


@needs_prometheus
def test_models(prometheus: Prometheus) -> None:
    def one(name: str) -> float:
        ((labels, value),) = prometheus.wait_for(f"model:infermesh_{name} >= 0")
        assert (labels["mesh"], labels["workload"], labels["model"]) == ("shop", "fraud", "scale")
        return value

    assert one("requests:rate5m") > 0
    assert one("error_ratio:rate5m") == 0
    assert one("request_duration_seconds:p99_5m") >= one("request_duration_seconds:p50_5m") > 0
    assert 0 < one("queue_share:rate5m") < 1
    assert 1 <= one("batch_rows:mean5m") <= 2
    assert one("batch_requests:mean5m") == 1
    assert one("ready_instances:count") == 1


@needs_prometheus
def test_routes_and_upstreams(prometheus: Prometheus) -> None:
    found = prometheus.wait_for("route:infermesh_proxy_requests:rate5m > 0", lambda it: len(it) == 2)
    assert {labels["listener"]: labels["route"] for labels, _ in found} == {
        "inbound": "app",
        "outbound": "fraud",
    }
    ((_, hits),) = prometheus.wait_for("route:infermesh_proxy_cache_hit_ratio:rate5m > 0")
    assert hits < 1
    attempts = prometheus.wait_for("upstream:infermesh_proxy_attempts:rate5m > 0", lambda it: len(it) == 2)
    assert {labels["cluster"] for labels, _ in attempts} == {"app", "fraud"}
    available = prometheus.wait_for(
        "upstream:infermesh_proxy_endpoints_available:min", lambda it: len(it) == 2
    )
    assert [value for _, value in available] == [1, 1]
    ((_, opened),) = prometheus.query('upstream:infermesh_proxy_breakers_open:sum{cluster="fraud"}')
    assert opened == 0


@needs_prometheus
def test_all_rules_are_well_and_nothing_is_told(prometheus: Prometheus) -> None:
    def evaluated(_: Any) -> bool:
        return all(rule["health"] != "unknown" for rule in prometheus.rules())

    prometheus.wait_for("up", evaluated)
    assert {rule["health"] for rule in prometheus.rules()} == {"ok"}
    assert prometheus.query('ALERTS{alertname!="InfermeshCertificateEnds"}') == []


@needs_prometheus
def test_each_panel_of_a_mesh_without_faults_has_something_to_show(prometheus: Prometheus) -> None:
    chosen = {"mesh": "shop", "namespace": ".*", "workload": ".*", "model": ".*", "route": ".*"}
    empty = []
    for text in dashboards().values():
        for panel in json.loads(text)["panels"]:
            shown = []
            for target in panel.get("targets", []):
                expression = re.sub(r"\$(\w+)", lambda it: chosen[it[1]], target["expr"])
                shown += prometheus.query(expression)
            if panel["type"] != "row" and not shown:
                empty.append(panel["title"])
    # Of what is not there, or has not happened.
    assert empty == [
        "Failures by reason",
        "Not let in",
        "Enrichments",
        "Endpoints with an open breaker",
        "Lost: spans, log records, captures, live requests",
        "Utilization",
        "Memory",
        "Power",
    ]


@needs_prometheus
def test_a_server_that_is_gone_is_told_of(tmp_path: Path) -> None:
    expected = {
        ("InfermeshInstanceDown", "fraud"),
        ("InfermeshNoEndpoints", "checkout"),
        ("InfermeshBreakerOpen", "checkout"),
        ("InfermeshErrorBudgetBurnsFast", "fraud"),
    }
    with small_mesh(tmp_path) as shop, watching(shop, tmp_path) as prometheus:
        prometheus.wait_for("upstream:infermesh_proxy_endpoints_available:min == 1", lambda it: len(it) == 2)
        shop.server.kill()

        def all_told(alerts: list[Sample]) -> bool:
            with pytest.raises(grpc.RpcError):
                shop.client.infer(request("scale", x=floats(1, 1)))
            return expected <= {(labels["alertname"], labels["workload"]) for labels, _ in alerts}

        prometheus.wait_for("ALERTS", all_told)


def test_each_field_of_the_log_has_a_type(tmp_path: Path) -> None:
    with small_mesh(tmp_path) as shop:
        trace: tuple[str, str | bytes] = ("traceparent", f"00-{7:032x}-{8:016x}-01")
        shop.client.inference.ModelInfer(request("scale", x=floats(1, 1)), metadata=(trace,), timeout=20)
        assert shop.server.stop() == 0
        with pytest.raises(grpc.RpcError):
            shop.client.infer(request("scale", x=floats(2, 1)))
        shop.sidecar.wait_for("request", lambda it: it["event.outcome"] == "failure")
        records = [*shop.server.records, *shop.sidecar.records]
    shop.sidecar.wait_for("request", lambda it: it["event.outcome"] == "failure")
    kinds: dict[str, type | tuple[type, ...]] = {
        "long": int,
        "date": str,
        "match_only_text": str,
        "wildcard": str,
    }
    seen: set[str] = set()
    for record in records:
        for name, value in record.items():
            assert name in FIELDS, record
            assert isinstance(value, kinds.get(FIELDS[name], (str, int, list))), record
        seen |= record.keys()
    assert {
        "trace.id",
        "event.duration",
        "error.type",
        "infermesh.error.source",
        "infermesh.model.name",
    } <= seen
