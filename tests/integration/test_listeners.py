"""Where the server listens, and what it says when it cannot."""

import socket
from pathlib import Path

import pytest
from support import onnx_models
from support.client import Client, floats, outputs, request
from support.repository import Repository
from support.server import Serve, Server


@pytest.fixture(autouse=True)
def _model(repository: Repository) -> None:
    repository.onnx("scale", onnx_models.scale(3.0))


def scaled(target: str) -> object:
    with Client(target) as client:
        return outputs(client.infer(request("scale", x=floats(1, 4))))["y"].tolist()


def test_a_port_and_a_socket_serve_the_same(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "serve.sock"
    server = serve("--grpc-socket", path)
    server.wait_ready()
    assert scaled(server.target) == scaled(f"unix:{path}") == [[0.0, 3.0, 6.0, 9.0]]
    listening = [record for record in server.records if record.get("event.action") == "server-listening"]
    assert [record["server.address"] for record in listening] == ["127.0.0.1", str(path)]


def test_the_socket_file_goes_with_the_server(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "serve.sock"
    server = serve("--grpc-socket", path)
    server.wait_ready()
    assert path.is_socket()
    assert server.stop() == 0
    assert not path.exists()


def test_a_socket_alone_binds_no_port(repository: Repository, tmp_path: Path) -> None:
    path = tmp_path / "serve.sock"
    server = Server(repository.root, "--grpc-socket", path)
    try:
        server.wait_ready()
        listening = [record for record in server.records if record.get("event.action") == "server-listening"]
        assert [record["server.address"] for record in listening] == [str(path)]
        assert scaled(f"unix:{path}") == [[0.0, 3.0, 6.0, 9.0]]
        assert server.stop() == 0
    finally:
        if server.running:
            server.kill()


def test_a_socket_that_nobody_listens_on_is_replaced(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "serve.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    serve("--grpc-socket", path).wait_ready()
    assert scaled(f"unix:{path}") == [[0.0, 3.0, 6.0, 9.0]]


def test_a_socket_that_somebody_listens_on_is_left_alone(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "serve.sock"
    serve("--grpc-socket", path).wait_ready()
    second = serve("--grpc-socket", path)
    assert second.wait() == 1
    assert any(f"cannot listen on the unix socket {path}" in line for line in second.errors)
    assert scaled(f"unix:{path}") == [[0.0, 3.0, 6.0, 9.0]]


def test_a_file_that_is_no_socket_is_left_alone(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("keep me")
    server = serve("--grpc-socket", path)
    assert server.wait() == 1
    assert any(f"cannot listen on the unix socket {path}" in line for line in server.errors)
    assert path.read_text() == "keep me"


def test_a_port_in_use_is_named_with_what_to_try(repository: Repository) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        server = Server(repository.root, "--grpc-address", "127.0.0.1", "--grpc-port", str(port))
        assert server.wait() == 1
    said = "\n".join(server.errors)
    assert f"cannot listen on 127.0.0.1:{port}" in said
    assert "in use" in said
    assert "--grpc-port 0" in said
    assert "Traceback" not in said


def test_the_port_is_free_again_at_once(serve: Serve, repository: Repository) -> None:
    first = serve()
    first.wait_ready()
    port = first.port
    assert scaled(first.target)
    assert first.stop() == 0
    second = Server(repository.root, "--grpc-address", "127.0.0.1", "--grpc-port", str(port))
    try:
        second.wait_ready()
        assert scaled(second.target) == [[0.0, 3.0, 6.0, 9.0]]
        assert second.stop() == 0
    finally:
        if second.running:
            second.kill()


def test_ipv6(repository: Repository) -> None:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6 loopback")
    server = Server(repository.root, "--grpc-address", "::1", "--grpc-port", "0")
    try:
        server.wait_ready()
        assert scaled(f"[::1]:{server.port}") == [[0.0, 3.0, 6.0, 9.0]]
        assert server.stop() == 0
    finally:
        if server.running:
            server.kill()
