"""Fixtures of the system tests: a server process on a repository, which ends in order after the test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import onnx_models
from support.client import Client
from support.gate import Gate
from support.process import stop_in_order
from support.repository import Repository
from support.rest import HTTP, Rest
from support.s3 import serving_s3
from support.server import LOOPBACK, Serve, Server, serving


def _arguments(repository: Repository) -> list[str | Path]:
    return [repository.root, *LOOPBACK]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """An empty repository."""
    return Repository.make(tmp_path / "repository")


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """A gate for one test; it is opened before the server is stopped."""
    with Gate(tmp_path / "gate") as gate:
        yield gate


@pytest.fixture
def other_gate(tmp_path: Path) -> Iterator[Gate]:
    """A second one."""
    with Gate(tmp_path / "other_gate") as gate:
        yield gate


@pytest.fixture
def serve(repository: Repository, gate: Gate, other_gate: Gate) -> Iterator[Serve]:
    """Start a server on the test's repository, with more options; it is not ready yet."""
    started: list[Server] = []

    def start(*options: str | Path) -> Server:
        started.append(Server(*_arguments(repository), *options))
        return started[-1]

    yield start
    gate.open()
    other_gate.open()
    try:
        for server in started:
            if server.running:
                stop_in_order(server)
    finally:
        for server in started:
            if server.running:
                server.kill()


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the tests of a module that only ask: every identity, sums, scales, a slow one."""
    repository = Repository.make(tmp_path_factory.mktemp("zoo"))
    for datatype in onnx_models.DATATYPES:
        repository.onnx(f"identity_{datatype.lower()}", onnx_models.identity(datatype))
    repository.onnx("add", onnx_models.add())
    repository.onnx("scale", onnx_models.scale(3.0, ("n", "m")))
    repository.onnx("wide", onnx_models.identity("FP32", ("n", "m")))
    repository.onnx("slow", onnx_models.matmul_chain())
    with serving(*_arguments(repository), *HTTP) as server:
        yield server


@pytest.fixture(scope="session")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of an S3 server for all tests; each makes a bucket of its own there."""
    with serving_s3(tmp_path_factory.mktemp("storage") / "s3.log") as port:
        yield port


@pytest.fixture
def server(zoo: Server) -> Server:
    """The server that a test's clients talk to: the zoo, unless its module has another."""
    return zoo


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    """A connection to the server."""
    with Client(server.target) as client:
        yield client


@pytest.fixture
def rest(server: Server) -> Iterator[Rest]:
    """An HTTP connection to the server."""
    with Rest(server.http_port) as rest:
        yield rest
