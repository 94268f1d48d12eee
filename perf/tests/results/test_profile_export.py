"""Requests one by one, in perf_analyzer's form."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from infermesh.proto.infermesh_load_v1 import load_pb2
from infermesh_perf.errors import SetupError
from infermesh_perf.results.document import Load, Run, TargetSummary
from infermesh_perf.results.profile_export import Experiment, save

RUN = Run(
    kind="run",
    command=[],
    started=datetime(2026, 3, 4, tzinfo=UTC),
    seconds=1,
    environment={},
    target=TargetSummary(url="grpc://box:8001", protocol="grpc", tls=False),
    workloads=[],
    levels=[],
)


def saved(path: Path, *experiments: Experiment) -> list[dict[str, Any]]:
    save(RUN, experiments, path / "requests.json")
    found = json.loads((path / "requests.json").read_text())
    assert (found["service_kind"], found["endpoint"]) == ("triton", "grpc://box:8001")
    experiments_: list[dict[str, Any]] = found["experiments"]
    return experiments_


def test_moments_are_since_1970(tmp_path: Path) -> None:
    record = load_pb2.RequestRecord(due_ns=100, lag_ns=20, service_ns=3)

    (found,) = saved(tmp_path, Experiment(Load(mode="concurrency", value=4), 1_000_000, [record]))

    assert found["experiment"] == {"mode": "concurrency", "value": 4}
    assert found["window_boundaries"] == []
    assert found["requests"] == [
        {"due": 1_000_100, "timestamp": 1_000_120, "response_timestamps": [1_000_123]}
    ]


def test_answers_of_a_stream_count_from_due(tmp_path: Path) -> None:
    record = load_pb2.RequestRecord(due_ns=100, lag_ns=20, service_ns=70, response_ns=[30, 60, 90])

    (found,) = saved(tmp_path, Experiment(Load(mode="rate", value=2.5, distribution="poisson"), 0, [record]))

    assert found["experiment"] == {"mode": "request_rate", "value": 2.5}
    assert found["requests"][0]["response_timestamps"] == [130, 160, 190]


def test_failures_say_so(tmp_path: Path) -> None:
    load = Load(mode="intervals", value=2, distribution="replay")
    record = load_pb2.RequestRecord(due_ns=1, service_ns=5, error="TIMEOUT")

    (found,) = saved(tmp_path, Experiment(load, 0, [record]))

    assert found["experiment"]["mode"] == "request_rate"
    assert found["requests"][0] | {"error": "TIMEOUT", "success": False} == found["requests"][0]


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot be written"):
        save(RUN, [], tmp_path)
