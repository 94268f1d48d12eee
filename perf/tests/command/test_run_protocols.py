"""`infermesh perf run` over every way that requests travel, against a real server."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support import onnx_models
from support.certificates import Authority
from support.perf_command import QUICK, Measure, Perf
from support.repository import Repository
from support.rest import HTTP
from support.server import LOOPBACK, Server, serving


def test_grpc(measure: Measure, grpc: str) -> None:
    found = measure("run", "-m", "fixed", "-u", grpc, *QUICK)

    (level,) = found.levels
    assert (found.target.protocol, found.target.server, found.target.tls) == ("grpc", "infermesh", False)
    assert level.completed > 10
    assert (level.failed, level.unsent) == (0, 0)
    assert level.responses >= level.completed
    assert 0 < level.service.percentiles_ns["50"] <= level.latency.percentiles_ns["99.99"]
    assert str(level.load) == "concurrency 1"
    (workload,) = found.workloads
    assert (workload.model, workload.batch, workload.source) == ("fixed", 1, "random, seed 1")
    assert [(it.name, it.datatype, it.shape) for it in workload.inputs] == [("x", "FP32", [2, 3])]


@pytest.mark.parametrize("more", [(), ("--json-tensors",)])
def test_http(measure: Measure, http: str, more: tuple[str, ...]) -> None:
    found = measure("run", "-m", "add", "-u", http, "-b", "4", *QUICK, *more)

    (level,) = found.levels
    assert found.target.protocol == "http"
    assert level.completed > 10
    assert level.failed == 0
    assert level.rows_per_second == pytest.approx(4 * level.throughput)


def test_streams(measure: Measure, grpc: str) -> None:
    found = measure("run", "-m", "fixed", "-u", grpc, "--streaming", "-c", "3", *QUICK)

    assert found.target.protocol == "grpc stream"
    assert found.levels[0].completed > 10
    assert found.levels[0].failed == 0


def test_a_decoupled_model_answers_several_times(measure: Measure, grpc: str) -> None:
    found = measure("run", "-m", "each", "-u", grpc, "--shape", "x:3", "--input-data", "zero", *QUICK)

    (level,) = found.levels
    # Such a model takes streams by itself.
    assert found.target.protocol == "grpc stream"
    assert level.failed == 0
    assert level.responses == pytest.approx(3 * level.completed, abs=6)
    assert level.first_response.count == level.completed
    assert level.first_response.mean_ns < level.service.mean_ns


@pytest.mark.parametrize("protocol", ["grpc", "http", "grpc stream"])
def test_the_client_knows_its_own_limit(measure: Measure, server: Server, protocol: str) -> None:
    port = server.http_port if protocol == "http" else server.port
    options = ("--streaming",) if protocol == "grpc stream" else ()

    found = measure(
        "run",
        "-m",
        "two",
        "-u",
        f"{protocol[:4]}://127.0.0.1:{port}",
        "-z",
        "50ms",
        "--warm-up",
        "0",
        *options,
    )

    (check,) = [check for check in found.levels[0].checks if check.name == "client ceiling"]
    assert "that this client reaches at most" in check.found
    # It was measured, and not nothing at all.
    assert " of 0/s" not in check.found


@pytest.mark.parametrize("more", [(), ("--output-shared-memory-size", "64")])
@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_shared_memory(measure: Measure, grpc: str, http: str, protocol: str, more: tuple[str, ...]) -> None:
    url = grpc if protocol == "grpc" else http

    found = measure("run", "-m", "fixed", "-u", url, "--shared-memory", "system", *QUICK, *more)

    assert found.levels[0].completed > 10
    assert found.levels[0].failed == 0
    # What lies in memory is not sent.
    body = found.workloads[0].payload_bytes
    assert body < 500


def test_a_unix_socket(measure: Measure, tmp_path: Path) -> None:
    repository = Repository.make(tmp_path / "repository")
    repository.onnx("fixed", onnx_models.identity("FP32", (2, 3)))
    path = tmp_path / "grpc.sock"

    with serving(repository.root, "--grpc-socket", path):
        found = measure("run", "-m", "fixed", "-u", f"unix:{path}", *QUICK)

    assert found.levels[0].completed > 10


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority()
    authority.issue("server").write(folder, "server")
    authority.issue("client").write(folder, "client")
    (folder / "ca.crt").write_bytes(authority.certificate)
    return folder


@pytest.fixture(scope="module")
def mutual(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    repository = Repository.make(tmp_path_factory.mktemp("mutual"))
    repository.onnx("fixed", onnx_models.identity("FP32", (2, 3)))
    options: list[str | Path] = []
    for edge in ("grpc", "http"):
        options += [
            f"--{edge}-server-cert",
            files / "server.crt",
            f"--{edge}-server-key",
            files / "server.key",
        ]
        options += [f"--{edge}-use-ssl-mutual", f"--{edge}-root-cert", files / "ca.crt"]
    with serving(repository.root, *LOOPBACK, *HTTP, *options) as server:
        yield server


@pytest.mark.parametrize("scheme", ["grpcs", "https"])
def test_mutual_tls(measure: Measure, mutual: Server, files: Path, scheme: str) -> None:
    port = mutual.port if scheme == "grpcs" else mutual.http_port
    trust = ("--cacert", files / "ca.crt", "--cert", files / "client.crt", "--key", files / "client.key")

    found = measure("run", "-m", "fixed", "-u", f"{scheme}://127.0.0.1:{port}", *trust, *QUICK)

    assert found.target.tls
    assert found.levels[0].completed > 10
    assert found.levels[0].failed == 0


def test_tls_without_a_certificate_of_the_clients(perf: Perf, mutual: Server) -> None:
    outcome = perf("run", "-m", "fixed", "-u", f"grpcs://127.0.0.1:{mutual.port}", "--insecure", *QUICK)

    assert outcome.code == 1
    assert "--cert and --key" in outcome.err


def test_a_batch_from_a_file(measure: Measure, grpc: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", a=np.ones((6, 16), np.float32), b=np.ones((6, 16), np.float32))

    found = measure("run", "-m", "add", "-u", grpc, "-b", "2", "--input-data", tmp_path / "in.npz", *QUICK)

    assert (found.workloads[0].payloads, found.workloads[0].batch) == (3, 2)
    assert found.levels[0].failed == 0
