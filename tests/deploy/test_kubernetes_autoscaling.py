"""What scales a workload, and what its queries come to."""

from pathlib import Path
from typing import Any

import pytest
from infermesh.deploy.kubernetes.autoscaling import objects
from infermesh.description.read import read
from infermesh.errors import ConfigurationError
from support import promql
from support.kubernetes_schemas import core_mistakes, custom_mistakes, missing_core, missing_custom

MESH = """
servers:
  fraud:
    models: s3://models/fraud
    placement: {autoscale: {min: 2, max: 12, queue: 20ms, calm: 10m}}
  ranking: s3://models/ranking
apps:
  shop:
    port: 8070
    image: registry.example/shop:1
    placement: {cpu: 500m, autoscale: true}
"""


def scaler(folder: Path, name: str, text: str = MESH) -> list[dict[str, Any]]:
    file = folder / "mesh.yaml"
    file.write_text(text, encoding="utf-8")
    return list(objects(read(file).workloads[name], "shop"))


def test_who_is_not_to_be_scaled_is_not(tmp_path: Path) -> None:
    assert scaler(tmp_path, "ranking") == []


def test_a_server_by_its_queue(tmp_path: Path) -> None:
    (found,) = scaler(tmp_path, "fraud")
    spec = found["spec"]
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (2, 12)
    assert [(it["name"], it["metadata"]["threshold"]) for it in spec["triggers"]] == [
        ("queue", "20"),
        ("load", "1"),
    ]
    down = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]
    assert down["stabilizationWindowSeconds"] == 600
    assert {it["periodSeconds"] for it in down["policies"]} == {600}
    assert spec["fallback"]["behavior"] == "currentReplicasIfHigher"
    if missing_custom() is None:
        assert custom_mistakes([found]) == []


def test_an_app_by_its_cpu(tmp_path: Path) -> None:
    (found,) = scaler(tmp_path, "shop")
    (metric,) = found["spec"]["metrics"]
    assert metric["containerResource"] == {
        "name": "cpu",
        "container": "app",
        "target": {"type": "AverageValue", "averageValue": "350m"},
    }


@pytest.mark.skipif(missing_core() is not None, reason=missing_core() or "")
def test_kubernetes_takes_it(tmp_path: Path) -> None:
    assert core_mistakes(scaler(tmp_path, "shop")) == []


@pytest.mark.parametrize(
    ("scale", "text"),
    [
        ("{min: 5, max: 3}", "expected at least `min`: 5"),
        ("{calm: 31m}", "found more than 30m"),
    ],
)
def test_what_does_not_fit_together_is_refused(tmp_path: Path, scale: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"mesh\.yaml:\d+: .*{text}"):
        scaler(tmp_path, "fraud", MESH.replace("{min: 2, max: 12, queue: 20ms, calm: 10m}", scale))


def series(pod: str, answers: int, wait_ms: int, namespace: str = "shop", model: str = "m") -> dict[str, str]:
    """Of one that answers so many in 15 s, after a wait of so long each; ten minutes of it."""
    of = f'{{namespace="{namespace}",pod="{pod}",model="{model}",version="1"}}'
    return {
        f"nv_inference_request_success{of}": f"0+{answers}x40",
        f"nv_inference_queue_duration_us{of}": f"0+{answers * wait_ms * 1000}x40",
    }


CALM = series("fraud-7d9f-abc12", 150, 5)
FULL = series("fraud-7d9f-def34", 150, 500)
IDLE = series("fraud-7d9f-ghi56", 0, 0)
OTHERS = series("fraud-v2-7d9f-abc12", 150, 900) | series("fraud-7d9f-abc12", 150, 900, namespace="test")


@pytest.mark.skipif(promql.missing() is not None, reason=promql.missing() or "")
@pytest.mark.parametrize(
    ("trigger", "given", "value"),
    [
        # One that is full asks for two in its place, however full it is.
        ("queue", CALM | FULL | IDLE | OTHERS, 5 + 40),
        ("queue", CALM | series("fraud-7d9f-abc12", 450, 9, model="n"), (150 * 5 + 450 * 9) / 600),
        ("queue", IDLE, 0),
        # No metrics are not an empty queue: KEDA falls back.
        ("queue", OTHERS, None),
        # 20 a second, of which one was seen to do 10.
        ("load", CALM | FULL | IDLE | OTHERS, 20 / 10 / 0.8),
        ("load", CALM | IDLE, None),
        ("load", OTHERS, None),
    ],
)
def test_queries(tmp_path: Path, trigger: str, given: dict[str, str], value: float | None) -> None:
    (found,) = scaler(tmp_path, "fraud")
    (query,) = [it["metadata"]["query"] for it in found["spec"]["triggers"] if it["name"] == trigger]
    assert promql.mistakes(tmp_path, given, query, "5m", value) == ""


@pytest.mark.skipif(promql.missing() is not None, reason=promql.missing() or "")
def test_what_one_answered_is_remembered(tmp_path: Path) -> None:
    (found,) = scaler(tmp_path, "fraud")
    query = found["spec"]["triggers"][1]["metadata"]["query"]
    pod = '{namespace="shop",pod="fraud-7d9f-abc12",model="m",version="1"}'
    given = {
        # Ten a second after a wait of 100 ms for five minutes, then four a second at once.
        f"nv_inference_request_success{pod}": "0+150x20 3060+60x40",
        f"nv_inference_queue_duration_us{pod}": "0+15000000x20 300000000x40",
    }
    assert promql.mistakes(tmp_path, given, query, "14m", 4 / 10 / 0.8) == ""
