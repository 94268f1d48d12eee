"""Every alert, brought about by series that a mesh could have, as Prometheus evaluates it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from infermesh.deploy import yaml_text
from infermesh.deploy.observability.alerts import alerts
from infermesh.deploy.observability.rules import rules
from infermesh.description.read import Description
from support.prometheus import needs_promtool, promtool

FRAUD = 'mesh="shop",workload="fraud",instance="10.0.0.1:8002"'
SLOW = 'mesh="shop",workload="slow",instance="10.0.0.2:8002"'
SHOP = 'mesh="shop",workload="checkout",instance="10.0.0.3:15000"'
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


def evaluate(
    description: Description, folder: Path, fault: Fault, expressions: Mapping[str, float | None]
) -> None:
    """The expressions have these values under a fault, or no value."""
    (folder / "rules.yml").write_text(yaml_text.one(rules(description)))
    series = {name: values for name, values in {**WELL, **fault.series}.items() if values is not None}
    checks = [
        {
            "expr": expression,
            "eval_time": f"{fault.after}m",
            "exp_samples": [] if value is None else [{"labels": "{}", "value": value}],
        }
        for expression, value in expressions.items()
    ]
    test = {
        "interval": "1m",
        "input_series": [
            {"series": name, "values": values.replace("N", str(fault.after))}
            for name, values in series.items()
        ],
        "promql_expr_test": checks,
    }
    file = folder / "test.yml"
    file.write_text(
        yaml_text.one({"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [test]})
    )
    promtool("test", "rules", file)


def test_every_alert_is_tried() -> None:
    assert {rule["alert"] for group in alerts() for rule in group["rules"]} == FAULTS.keys()


@needs_promtool
@pytest.mark.parametrize("name", FAULTS)
def test_an_alert(description: Description, tmp_path: Path, name: str) -> None:
    fault = FAULTS[name]
    about = "".join(f',{label}="{value}"' for label, value in fault.about.items())
    firing = f'sum(ALERTS{{alertname="{name}",alertstate="firing"{about}}})'
    evaluate(description, tmp_path, fault, {firing: 1})


@needs_promtool
@pytest.mark.parametrize("minutes", [30, 300])
def test_a_mesh_that_is_well_has_none(description: Description, tmp_path: Path, minutes: int) -> None:
    firing = 'sum(ALERTS{alertstate="firing"})'
    evaluate(description, tmp_path, Fault({}, after=minutes), {firing: None, "sum(up)": 3})
