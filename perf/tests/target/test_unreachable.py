"""Servers that cannot be reached, are something else, or let nobody in."""

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.message import Message

import grpc
import pytest
from infermesh_perf.errors import RunError, SetupError
from infermesh_perf.processes import free_ports
from infermesh_perf.target.connect import connect
from infermesh_perf.target.errors import RefusedError
from infermesh_perf.target.target import target
from support.fixed_http import answering
from support.server import Server


class _Answers(grpc.GenericRpcHandler):
    """Answers every call with one status."""

    def __init__(self, code: grpc.StatusCode) -> None:
        self._code = code

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes]":
        def answer(_: bytes, context: grpc.ServicerContext) -> bytes:
            sent = dict(handler_call_details.invocation_metadata or ())
            context.abort(self._code, f"got {sent.get('authorization', 'nothing')!s}")

        return grpc.unary_unary_rpc_method_handler(answer)


def grpc_server(code: grpc.StatusCode) -> tuple[grpc.Server, int]:
    server = grpc.server(ThreadPoolExecutor(2), handlers=[_Answers(code)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


@pytest.fixture
def http_port(request: pytest.FixtureRequest) -> Iterator[int]:
    """A server that answers everything with one status."""

    def answer(_: str, headers: Message) -> tuple[int, bytes]:
        return request.param, json.dumps({"error": f"got {headers.get('authorization', 'nothing')}"}).encode()

    with answering(answer) as port:
        yield port


@pytest.mark.parametrize("protocol", ["grpc", "http", "grpcs", "https"])
def test_nobody_listens(protocol: str) -> None:
    (port,) = free_ports(1)
    with pytest.raises(
        RunError, match=f"cannot reach {protocol}://127.0.0.1:{port}: Connection refused"
    ) as caught:
        connect(target(f"{protocol}://127.0.0.1:{port}"))
    assert "is the server running" in str(caught.value.hint)


def test_no_socket_there() -> None:
    with pytest.raises(RunError, match=r"cannot reach unix:/no/such.sock: No such file"):
        connect(target("unix:/no/such.sock"))


def test_the_other_protocols_port(server: Server) -> None:
    with (
        connect(target(f"grpc://127.0.0.1:{server.http_port}"), 10) as api,
        pytest.raises(RunError) as caught,
    ):
        api.server()
    assert "cannot reach" in str(caught.value)
    assert "port for gRPC" in str(caught.value.hint) or "-i http" in str(caught.value.hint)
    with connect(target(f"http://127.0.0.1:{server.port}"), 10) as api, pytest.raises(RunError) as caught:
        api.server()
    assert "not HTTP" in str(caught.value)
    assert "-i grpc" in str(caught.value.hint)


def test_a_plaintext_port_behind_tls(server: Server) -> None:
    with pytest.raises(RunError, match="TLS handshake failed") as caught:
        connect(target(f"grpcs://127.0.0.1:{server.port}"), 10)
    assert "grpc:// is without" in str(caught.value.hint)


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_a_server_that_never_answers(protocol: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = target(f"{protocol}://127.0.0.1:{silent.getsockname()[1]}")
        with connect(found, 0.3) as api, pytest.raises(RunError, match=r"did not answer|cannot reach"):
            api.server()


def test_grpc_wants_to_know_who_asks() -> None:
    server, port = grpc_server(grpc.StatusCode.UNAUTHENTICATED)
    try:
        asking = target(f"127.0.0.1:{port}", headers=["Authorization: Bearer me"])
        with (
            connect(asking) as api,
            pytest.raises(SetupError, match="UNAUTHENTICATED: got Bearer me") as caught,
        ):
            api.server()
        assert "-H 'authorization" in str(caught.value.hint)
    finally:
        server.stop(None).wait()


def test_grpc_unavailable_by_the_server_itself_is_a_refusal() -> None:
    server, port = grpc_server(grpc.StatusCode.UNAVAILABLE)
    try:
        with connect(target(f"127.0.0.1:{port}")) as api, pytest.raises(RefusedError, match="got nothing"):
            api.server()
    finally:
        server.stop(None).wait()


def test_grpc_lacks_configuration_and_statistics() -> None:
    server, port = grpc_server(grpc.StatusCode.UNIMPLEMENTED)
    try:
        with connect(target(f"127.0.0.1:{port}")) as api:
            assert (api.config("m"), api.statistics("m"), api.index()) == (None, None, None)
    finally:
        server.stop(None).wait()


@pytest.mark.parametrize("http_port", [401], indirect=True)
def test_http_wants_to_know_who_asks(http_port: int) -> None:
    asking = target(f"http://127.0.0.1:{http_port}", headers=["Authorization: Bearer me"])
    with connect(asking) as api, pytest.raises(SetupError, match="HTTP 401: got Bearer me"):
        api.server()


@pytest.mark.parametrize("http_port", [404], indirect=True)
def test_http_lacks_configuration_and_statistics(http_port: int) -> None:
    with connect(target(f"http://127.0.0.1:{http_port}")) as api:
        assert (api.config("m"), api.statistics("m")) == (None, None)
        assert not api.model_ready("m")


@pytest.mark.parametrize("http_port", [200], indirect=True)
def test_http_answers_something_else(http_port: int) -> None:
    with connect(target(f"http://127.0.0.1:{http_port}")) as api:
        assert api.server().name == ""


def test_a_proxy_is_never_taken(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "grpc_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for url in (f"grpc://127.0.0.1:{server.port}", f"http://127.0.0.1:{server.http_port}"):
        with connect(target(url)) as api:
            assert api.server_ready()
