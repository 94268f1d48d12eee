"""A server for all tests of a module."""

from collections.abc import Iterator

import pytest
from infermesh_perf.target.api import Api
from infermesh_perf.target.connect import connect
from infermesh_perf.target.target import target
from support.load_targets import serving_targets
from support.server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Models of every kind, over gRPC and HTTP."""
    with serving_targets(tmp_path_factory.mktemp("targets")) as server:
        yield server


@pytest.fixture(params=["grpc", "http"])
def api(server: Server, request: pytest.FixtureRequest) -> Iterator[Api]:
    """The server over one protocol."""
    port = server.port if request.param == "grpc" else server.http_port
    with connect(target(f"{request.param}://127.0.0.1:{port}")) as api:
        yield api
