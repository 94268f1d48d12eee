"""Every alert, brought about by series that a mesh could have, as Prometheus evaluates it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from infermesh.deploy.observability.alerts import alerts
from infermesh.deploy.observability.rules import rules
from infermesh.description.read import Description
from support.prometheus import needs_promtool, rule_test, value

FRAUD = 'mesh="shop",workload="fraud",instance="10.0.0.1:8002"'
SLOW = 'mesh="shop",workload="slow",instance="10.0.0.2:8002"'
SHOP = 'mesh="shop",workload="checkout",instance="10.0.0.3:15100"'
SCORES = f'{FRAUD},model="scores",version="1"'
ROUTE = f'{SHOP},listener="outbound",route="fraud"'
CLUSTER = f'{SHOP},cluster="fraud",endpoint="10.0.0.1:8001"'

ENDS = "infermesh_proxy_certificate_expiration_timestamp_seconds"

#: A mesh that is well, a value a minute, as often as it takes (N).
WELL = {
    f"up{{{FRAUD}}}": "1+0xN",
    f"up{{{SLOW}}}": "1+0xN",
    f"up{{{SHOP}}}": "1+0xN",
    f"nv_inference_request_success{{{SCORES}}}": "0+6000xN",
    f'nv_inference_request_success{{{SLOW},model="vision",version="1"}}': "0+6000xN",
    f'nv_inference_request_failure{{{SCORES},reason="BACKEND"}}': "0+0xN",
    f"nv_inference_pending_request_count{{{SCORES}}}": "2 0 1 0xN",
    f"infermesh_queue_duration_seconds_sum{{{SCORES}}}": "0+6xN",
    f"infermesh_request_duration_seconds_sum{{{SCORES}}}": "0+60xN",
    f'infermesh_request_duration_seconds_bucket{{{SCORES},le="0.1"}}': "0+6000xN",
    f'infermesh_request_duration_seconds_bucket{{{SCORES},le="0.5"}}': "0+6000xN",
    f'infermesh_request_duration_seconds_bucket{{{SCORES},le="+Inf"}}': "0+6000xN",
    f'nv_gpu_memory_used_bytes{{{FRAUD},gpu_uuid="GPU-1"}}': "70+0xN",
    f'nv_gpu_memory_total_bytes{{{FRAUD},gpu_uuid="GPU-1"}}': "100+0xN",
    f'infermesh_proxy_requests_total{{{ROUTE},protocol="grpc",code="OK"}}': "0+6000xN",
    f'infermesh_proxy_requests_not_admitted_total{{{ROUTE},reason="full"}}': "0+6xN",
    f'infermesh_proxy_retries_refused_total{{{ROUTE},reason="budget"}}': "3+0xN",
    f"infermesh_proxy_endpoint_available{{{CLUSTER}}}": "1+0xN",
    f'infermesh_proxy_breaker_state{{{CLUSTER},state="closed"}}': "1+0xN",
    f'infermesh_proxy_breaker_state{{{CLUSTER},state="open"}}': "0+0xN",
    f"infermesh_proxy_ready{{{SHOP}}}": "1+0xN",
    f'{ENDS}{{{SHOP},role="identity",subject="a"}}': "9e9+0xN",
    f'infermesh_proxy_tls_handshakes_total{{{SHOP},side="accepted",result="done"}}': "0+60xN",
    f"infermesh_proxy_spans_dropped_total{{{SHOP}}}": "5+0xN",
    f"process_start_time_seconds{{{SHOP}}}": "100+0xN",
    f"process_open_fds{{{SHOP}}}": "50+0xN",
    f"process_max_fds{{{SHOP}}}": "1000+0xN",
}


@dataclass(frozen=True)
class Fault:
    """Series in place of those of a mesh that is well, None: gone; and whom the alert is about."""

    series: Mapping[str, str | None]
    about: Mapping[str, str] = field(default_factory=dict)
    #: When it is there, in minutes.
    after: int = 60


FAULTS = {
    # 3 % of 0.1 % allowed: 30 times too fast.
    "InfermeshErrorBudgetBurnsFast": Fault(
        {f'nv_inference_request_failure{{{SCORES},reason="BACKEND"}}': "0+180xN"},
        {"workload": "fraud", "view": "own"},
        after=90,
    ),
    "InfermeshErrorBudgetBurnsSteady": Fault(
        {f'infermesh_proxy_requests_total{{{ROUTE},protocol="grpc",code="UNAVAILABLE"}}': "0+60xN"},
        {"workload": "fraud", "view": "callers"},
        after=100,
    ),
    "InfermeshErrorBudgetBurnsSlow": Fault(
        {f'nv_inference_request_failure{{{SCORES},reason="REJECTED"}}': "0+12xN"},
        {"workload": "fraud", "view": "own"},
        after=100,
    ),
    "InfermeshLatencyAboveObjective": Fault(
        {f'infermesh_request_duration_seconds_bucket{{{SCORES},le="0.1"}}': "0+5000xN"},
        {"workload": "fraud", "view": "own"},
    ),
    "InfermeshWorkloadMissing": Fault({f"up{{{SLOW}}}": None}, {"workload": "slow"}),
    "InfermeshInstanceDown": Fault({f"up{{{FRAUD}}}": "0+0xN"}, {"workload": "fraud"}),
    "InfermeshRestarts": Fault(
        {f"process_start_time_seconds{{{SHOP}}}": "0+300xN"}, {"workload": "checkout"}
    ),
    "InfermeshModelNotReady": Fault(
        {f'nv_inference_request_success{{{SLOW},model="vision",version="1"}}': None},
        {"workload": "slow", "model": "vision"},
    ),
    "InfermeshQueueGrows": Fault(
        {
            f"nv_inference_pending_request_count{{{SCORES}}}": "1+2xN",
            f"infermesh_queue_duration_seconds_sum{{{SCORES}}}": "0+50xN",
        },
        {"model": "scores"},
    ),
    "InfermeshGpuMemoryFull": Fault(
        {f'nv_gpu_memory_used_bytes{{{FRAUD},gpu_uuid="GPU-1"}}': "97+0xN"}, {"gpu_uuid": "GPU-1"}
    ),
    "InfermeshSidecarNotReady": Fault(
        {f"infermesh_proxy_ready{{{SHOP}}}": "0+0xN"}, {"workload": "checkout"}
    ),
    "InfermeshNoEndpoints": Fault(
        {f"infermesh_proxy_endpoint_available{{{CLUSTER}}}": "0+0xN"}, {"cluster": "fraud"}
    ),
    "InfermeshBreakerOpen": Fault(
        {f'infermesh_proxy_breaker_state{{{CLUSTER},state="open"}}': "1+0xN"}, {"cluster": "fraud"}
    ),
    "InfermeshRequestsRefused": Fault(
        {f'infermesh_proxy_requests_not_admitted_total{{{ROUTE},reason="full"}}': "0+600xN"},
        {"route": "fraud"},
    ),
    "InfermeshRetryBudgetSpent": Fault(
        {f'infermesh_proxy_retries_refused_total{{{ROUTE},reason="budget"}}': "0+6xN"}, {"route": "fraud"}
    ),
    "InfermeshCertificateEnds": Fault(
        {f'{ENDS}{{{SHOP},role="identity",subject="a"}}': "20000+0xN"},
        {"subject": "a"},
    ),
    "InfermeshHandshakesFail": Fault(
        {f'infermesh_proxy_tls_handshakes_total{{{SHOP},side="accepted",result="untrusted"}}': "0+60xN"},
        {"result": "untrusted"},
    ),
    "InfermeshTelemetryLost": Fault(
        {f"infermesh_proxy_spans_dropped_total{{{SHOP}}}": "0+5xN"}, {"workload": "checkout"}
    ),
    "InfermeshFewFileDescriptors": Fault(
        {f"process_open_fds{{{SHOP}}}": "900+0xN"}, {"workload": "checkout"}
    ),
}


#: Other ways to the same.
FURTHER = {
    "nobody is known": (
        "InfermeshNoEndpoints",
        Fault({f"infermesh_proxy_endpoint_available{{{CLUSTER}}}": None}, {"cluster": "fraud"}),
    ),
    "one of two instances is not ready": (
        "InfermeshModelNotReady",
        Fault(
            {'up{mesh="shop",workload="slow",instance="10.0.0.9:8002"}': "1+0xN"},
            {"workload": "slow", "model": "vision"},
        ),
    ),
    "an authority ends": (
        "InfermeshCertificateEnds",
        Fault({f'{ENDS}{{{SHOP},role="authority",subject="ca"}}': "1000000+0xN"}, {"subject": "ca"}),
    ),
    "log records are lost": (
        "InfermeshTelemetryLost",
        Fault({f"infermesh_log_records_dropped_total{{{FRAUD}}}": "0+5xN"}, {"workload": "fraud"}),
    ),
}


#: Some that hold what is measured against what mesh.yaml says.
IN_A_NAMESPACE = ["InfermeshErrorBudgetBurnsFast", "InfermeshModelNotReady", "InfermeshNoEndpoints"]


def try_out(
    description: Description, folder: Path, fault: Fault, namespace: str | None = None, **checks: Any
) -> None:
    """The mesh under a fault, in a namespace or in none, is held to checks of promtool."""
    series = {
        name: values.replace("N", str(fault.after))
        for name, values in {**WELL, **fault.series}.items()
        if values is not None
    }
    if namespace:
        series = {f'{name[:-1]},namespace="{namespace}"}}': values for name, values in series.items()}
    rule_test(folder, rules(description, namespace), series, **checks)


def firing(name: str, fault: Fault) -> str:
    """How many alerts of this name there are about whom the fault is about."""
    about = "".join(f',{label}="{value}"' for label, value in fault.about.items())
    return f'sum(ALERTS{{alertname="{name}",alertstate="firing"{about}}})'


def test_every_alert_is_tried() -> None:
    assert {rule["alert"] for group in alerts() for rule in group["rules"]} == FAULTS.keys()


@needs_promtool
@pytest.mark.parametrize("name", FAULTS)
def test_an_alert(description: Description, tmp_path: Path, name: str) -> None:
    fault = FAULTS[name]
    check = value(fault.after, firing(name, fault), 1)
    try_out(description, tmp_path, fault, promql_expr_test=[check])


@needs_promtool
@pytest.mark.parametrize("way", FURTHER)
def test_another_way_to_it(description: Description, tmp_path: Path, way: str) -> None:
    name, fault = FURTHER[way]
    check = value(fault.after, firing(name, fault), 1)
    try_out(description, tmp_path, fault, promql_expr_test=[check])


@needs_promtool
@pytest.mark.parametrize(
    "name", ["InfermeshErrorBudgetBurnsFast", "InfermeshModelNotReady", "InfermeshNoEndpoints"]
)
def test_an_alert_in_a_namespace(description: Description, tmp_path: Path, name: str) -> None:
    fault = FAULTS[name]
    about = Fault(fault.series, {**fault.about, "namespace": "prod"}, fault.after)
    check = value(about.after, firing(name, about), 1)
    try_out(description, tmp_path, fault, "prod", promql_expr_test=[check])


@needs_promtool
@pytest.mark.parametrize("minutes", [30, 300])
@pytest.mark.parametrize("namespace", [None, "prod"])
def test_a_mesh_that_is_well_has_none(
    description: Description, tmp_path: Path, minutes: int, namespace: str | None
) -> None:
    well = Fault({}, after=minutes)
    checks = [value(minutes, 'sum(ALERTS{alertstate="firing"})', None), value(minutes, "sum(up)", 3)]
    try_out(description, tmp_path, well, namespace, promql_expr_test=checks)


@needs_promtool
def test_what_people_are_told(description: Description, tmp_path: Path) -> None:
    fault = FAULTS["InfermeshErrorBudgetBurnsFast"]
    told = {
        "summary": "2.913% of the requests to fraud fail (1h)",
        "description": "That is more than 14.4 times what its objective allows, in the last 1h and still in "
        "the last 5m; seen by itself.",
        "runbook_url": "docs/operations.md#infermesherrorbudgetburnsfast",
    }
    labels = {"severity": "critical", "mesh": "shop", "workload": "fraud", "view": "own"}
    check = {
        "eval_time": f"{fault.after}m",
        "alertname": "InfermeshErrorBudgetBurnsFast",
        "exp_alerts": [{"exp_labels": labels, "exp_annotations": told}],
    }
    try_out(description, tmp_path, fault, alert_rule_test=[check])


@needs_promtool
def test_rules_of_one_mesh_say_nothing_of_another(description: Description, tmp_path: Path) -> None:
    faults = {name: values for fault in FAULTS.values() for name, values in fault.series.items() if values}
    series = {
        name.replace('mesh="shop"', 'mesh="other"'): values.replace("N", "60")
        for name, values in {**WELL, **faults}.items()
    }
    recorded = 'count({__name__=~"(model|route|upstream|workload):.+"})'
    checks = [
        value(60, recorded, None),
        value(60, 'sum(ALERTS{mesh="other"})', None),
        value(60, "count(up)", 3),
        # Of its own it finds nothing.
        value(60, 'sum(ALERTS{mesh="shop",alertname="InfermeshWorkloadMissing"})', 3),
    ]
    rule_test(tmp_path, rules(description), series, promql_expr_test=checks)
