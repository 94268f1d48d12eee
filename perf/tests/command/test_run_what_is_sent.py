"""Mixes, sequences, metadata, expected answers, traces: what is sent, and how the server sees it."""

import json
from pathlib import Path

import grpc as grpcio
import numpy as np
import pytest
from infermesh_perf.processes import free_ports
from infermesh_perf.results import csv_file
from support import onnx_models
from support.perf_command import QUICK, Measure, Perf
from support.recording_server import recording
from support.repository import Repository
from support.server import LOOPBACK, Server, serving


def test_models_by_weight(measure: Measure, grpc: str) -> None:
    found = measure("run", "-m", "fixed=3", "-m", "add:1=1", "-u", grpc, "-n", "2000", "--warm-up", "0")

    fixed, add = found.levels[0].workloads
    assert (fixed.name, add.name) == ("fixed", "add:1")
    assert fixed.completed + add.completed == found.levels[0].completed == 2000
    assert 2 < fixed.completed / add.completed < 4.5
    assert [(it.model, it.version, it.weight) for it in found.workloads] == [
        ("fixed", "1", 3),
        ("add", "1", 1),
    ]


@pytest.mark.parametrize("model", ["tally", "tallies"])
@pytest.mark.parametrize("load", [("-c", "3"), ("--rps", "300")])
def test_sequences(measure: Measure, grpc: str, model: str, load: tuple[str, str]) -> None:
    found = measure(
        "run", "-m", model, "-u", grpc, *load, "--sequence-length", "4", "--num-of-sequences", "3", *QUICK
    )

    # A request outside of its sequence, or beside another of the same, would be refused.
    assert found.levels[0].completed > 5
    assert found.levels[0].failures == []


def test_headers_go_with_every_request(measure: Measure) -> None:
    with recording() as service:
        measure(
            *("run", "-m", "m", "-u", f"127.0.0.1:{service.port}", "-n", "20", "--warm-up", "0"),
            *("--metadata", '{"tenant": "a"}', "-H", "Authorization: Bearer T"),
        )

    # One that looks whether the model takes them, and those that are measured.
    assert len(service.seen) >= 21
    assert {seen.get("tenant") for seen in service.seen} == {"a"}
    assert {seen.get("authorization") for seen in service.seen} == {"Bearer T"}


def test_a_share_of_the_requests_is_traced(measure: Measure) -> None:
    with recording() as service:
        measure(
            *("run", "-m", "m", "-u", f"127.0.0.1:{service.port}", "-n", "400", "--warm-up", "0"),
            *("--trace-share", "0.25"),
        )

    traced = [seen["traceparent"] for seen in service.seen if "traceparent" in seen]
    assert 40 < len(traced) < 180
    assert all(text.startswith("00-") and text.endswith("-01") for text in traced)
    assert len(set(traced)) == len(traced)


def test_errors_are_counted_and_end_nothing(measure: Measure) -> None:
    with recording(refuse=grpcio.StatusCode.RESOURCE_EXHAUSTED) as service:
        found = measure(
            "run", "-m", "m", "-u", f"127.0.0.1:{service.port}", "-n", "50", "--warm-up", "0", codes=(3,)
        )

    (failure,) = found.levels[0].failures
    assert (failure.kind, failure.count, failure.message) == ("RESOURCE_EXHAUSTED", 50, "not now")
    assert failure.latency.count == 50
    assert found.levels[0].error_share == 1
    assert [check.name for check in found.levels[0].checks if not check.passed] == ["good answers"]


def test_an_implied_limit_on_errors(perf: Perf) -> None:
    with recording(refuse=grpcio.StatusCode.UNAVAILABLE) as service:
        outcome = perf(
            *("run", "-m", "m", "-u", f"127.0.0.1:{service.port}", "-n", "50", "--warm-up", "0"),
            *("--slo", "mean<10s", "-O", "json"),
        )

    assert json.loads(outcome.out)["levels"][0]["objective_met"] is False
    assert outcome.code == 3


@pytest.fixture
def expected(tmp_path: Path) -> tuple[Path, Path]:
    numbers = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.savez(tmp_path / "in.npz", x=numbers)
    np.savez(tmp_path / "out.npz", y=numbers)
    return tmp_path / "in.npz", tmp_path / "out.npz"


@pytest.mark.parametrize("protocol", ["grpc", "http", "stream"])
def test_answers_are_held_against_what_is_expected(
    measure: Measure, grpc: str, http: str, expected: tuple[Path, Path], protocol: str
) -> None:
    sent, wanted = expected
    url = http if protocol == "http" else grpc
    options = ("--streaming",) if protocol == "stream" else ()
    ask = ("run", "-m", "fixed", "-u", url, "--input-data", sent, "--validate", wanted, *options, *QUICK)

    right = measure(*ask)
    np.savez(wanted, y=np.full((2, 3), 7, np.float32))
    wrong = measure(*ask, codes=(3,))
    tolerated = measure(*ask, "--tolerance", "10")

    assert right.levels[0].failed == tolerated.levels[0].failed == 0
    assert right.levels[0].completed > 10
    assert wrong.levels[0].completed == 0
    (failure,) = wrong.levels[0].failures
    assert failure.kind == "WRONG ANSWER"
    assert failure.count == wrong.levels[0].failed > 10
    assert "y" in failure.message
    assert "7" in failure.message


def test_metrics_and_statistics_of_the_server(measure: Measure, server: Server, grpc: str) -> None:
    found = measure(
        *("run", "-m", "add", "-u", grpc, "-b", "2", "-c", "4", *QUICK, "--metrics-interval", "20"),
        *("--metrics-url", f"http://127.0.0.1:{server.metrics_port}/metrics"),
    )

    (level,) = found.levels
    hops = {hop.name: hop for hop in level.hops}
    assert {"client lag", "network", "queue", "input", "compute", "output"} <= hops.keys()
    assert hops["compute"].source == "ModelStatistics"
    assert hops["compute"].mean_ns > 0
    together = sum(hop.mean_ns for hop in level.hops)
    assert together == pytest.approx(level.lag.mean_ns + level.service.mean_ns, rel=0.01)
    # Rows by execution, as the server counts them.
    assert sum(level.batch_sizes.values()) > 0
    assert set(level.batch_sizes) <= {2, 4, 6, 8}
    mean, most = level.metrics["nv_cpu_memory_used_bytes"]
    assert 0 < mean <= most * 1.0001
    assert "Server Compute Infer" in csv_file.text(found).splitlines()[0]


def test_metrics_where_nobody_has_any(perf: Perf, grpc: str) -> None:
    (port,) = free_ports(1)

    outcome = perf(
        "run", "-m", "add", "-u", grpc, *QUICK, "--metrics-url", f"http://127.0.0.1:{port}/metrics"
    )

    assert outcome.code == 1
    assert f"127.0.0.1:{port}" in outcome.err


def test_traces_tell_the_stages_of_slow_requests(measure: Measure, tmp_path: Path) -> None:
    repository = Repository.make(tmp_path / "repository")
    repository.onnx("add", onnx_models.add(), config="max_batch_size: 8\n")
    (collector,) = free_ports(1)
    # All spans fit into one message, so that none is left for a collector that has gone.
    exports = [
        *("--trace-config", "level=TIMESTAMPS", "--trace-config", "rate=0"),
        *("--trace-config", f"opentelemetry,url=http://127.0.0.1:{collector}/v1/traces"),
        *("--trace-config", "opentelemetry,bsp_schedule_delay=500"),
    ]
    with serving(repository.root, *LOOPBACK, *exports) as server:
        found = measure(
            *("run", "-m", "add", "-u", server.target, "-n", "100", "--warm-up", "0", "--no-calibration"),
            *("--trace-share", "1", "--otlp-port", collector),
        )

    slowest = found.levels[0].slowest
    assert len(slowest) == 20
    assert all(len(request.trace_id) == 32 for request in slowest)
    assert all({"queue", "compute"} <= request.stages_ns.keys() for request in slowest)
    assert all(sum(request.stages_ns.values()) <= request.service_ns for request in slowest)
