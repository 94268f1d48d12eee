"""One server for all commands, and the commands themselves."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.load_targets import serving_targets
from support.perf_command import Measure, Perf, in_process
from support.server import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Models of every kind, over gRPC and HTTP, with metrics; commands only ask it."""
    with serving_targets(tmp_path_factory.mktemp("commands")) as server:
        yield server


@pytest.fixture
def grpc(server: Server) -> str:
    """Its address for gRPC."""
    return f"127.0.0.1:{server.port}"


@pytest.fixture
def http(server: Server) -> str:
    """Its address for HTTP."""
    return f"http://127.0.0.1:{server.http_port}"


@pytest.fixture
def perf(capsys: pytest.CaptureFixture[str]) -> Perf:
    """Runs a command."""
    return in_process(capsys)


@pytest.fixture
def measure(perf: Perf, tmp_path: Path) -> Measure:
    """Runs a command and reads its result."""
    return Measure(perf, tmp_path / "result.json")
