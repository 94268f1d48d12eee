"""A server for hostile input, and the check that it still serves somebody else."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import onnx_models
from support.client import Client, floats, outputs, request
from support.http2 import Connection
from support.repository import Repository
from support.server import LOOPBACK, Server, serving


@pytest.fixture(scope="package")
def unix_socket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server listens beside its port."""
    return tmp_path_factory.mktemp("socket") / "grpc.sock"


@pytest.fixture(scope="package")
def target(tmp_path_factory: pytest.TempPathFactory, unix_socket: Path) -> Iterator[Server]:
    """One server for the whole assault; it ends in order and without a word on stderr."""
    repository = Repository.make(tmp_path_factory.mktemp("hostile"))
    repository.onnx("scale", onnx_models.scale(3.0, ("n", "m")))
    repository.onnx("text", onnx_models.identity("BYTES", ("n", "m")))
    repository.onnx("add", onnx_models.add())
    with serving(repository.root, *LOOPBACK, "--grpc-socket", unix_socket) as server:
        yield server


@pytest.fixture
def bystander(target: Server) -> Iterator[Client]:
    """A client that has nothing to do with it: connected before, and still served afterwards."""
    with Client(target.target) as client:
        yield client
        assert outputs(client.infer(request("scale", x=floats(1, 2))))["y"].tolist() == [[0.0, 3.0]]
    with Client(target.target) as newcomer:
        assert outputs(newcomer.infer(request("scale", x=floats(1, 2))))["y"].tolist() == [[0.0, 3.0]]


@pytest.fixture
def connection(target: Server, bystander: Client) -> Iterator[Connection]:
    """A connection by hand, watched by a bystander."""
    assert bystander
    with Connection(target.port) as connection:
        yield connection
