"""infermesh-probe: whom it believes to be well."""

import http.server
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest
from infermesh.errors import ConfigurationError, InfermeshError
from infermesh.probe import ask
from infermesh.proto.grpc_health_v1 import health_pb2 as pb

SERVING = pb.HealthCheckResponse.SERVING
NOT_SERVING = pb.HealthCheckResponse.NOT_SERVING


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(int(self.path.removeprefix("/").partition("?")[0]))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    """Answers each path with the status that it is."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def _check(request: pb.HealthCheckRequest, context: grpc.ServicerContext) -> pb.HealthCheckResponse:
    if request.service == "unknown":
        context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
    return pb.HealthCheckResponse(status=NOT_SERVING if request.service == "ill" else SERVING)


@pytest.fixture(scope="module")
def rpc() -> Iterator[str]:
    """Answers as gRPC's health service."""
    with ThreadPoolExecutor(2) as threads:
        server = grpc.server(threads)
        handler = grpc.unary_unary_rpc_method_handler(
            _check, pb.HealthCheckRequest.FromString, pb.HealthCheckResponse.SerializeToString
        )
        service = grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": handler})
        server.add_generic_rpc_handlers((service,))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield f"grpc://127.0.0.1:{port}"
        server.stop(None).wait()


@contextmanager
def silence() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_http(web: str) -> None:
    ask(f"{web}/200", "2s")
    ask(f"{web}/302?x=1", "2s")
    for status in (404, 503):
        with pytest.raises(InfermeshError, match=f"answered {status}"):
            ask(f"{web}/{status}", "2s")


def test_grpc(rpc: str) -> None:
    ask(rpc, "2s")
    ask(f"{rpc}/models", "2s")
    with pytest.raises(InfermeshError, match="answered NOT_SERVING"):
        ask(f"{rpc}/ill", "2s")
    with pytest.raises(InfermeshError, match="NOT_FOUND: no such service"):
        ask(f"{rpc}/unknown", "2s")


def test_tcp() -> None:
    with silence() as port:
        ask(f"tcp://127.0.0.1:{port}", "2s")
    with pytest.raises(InfermeshError, match="refused"):
        ask(f"tcp://127.0.0.1:{port}", "2s")


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_silence_is_not_well(scheme: str) -> None:
    with silence() as port, pytest.raises(InfermeshError, match=r"timed out|DEADLINE_EXCEEDED"):
        ask(f"{scheme}://127.0.0.1:{port}", "100ms")


@pytest.mark.parametrize("url", ["127.0.0.1:80", "ftp://x:1", "http://x", "http://x:port/", "http://:80", ""])
def test_urls_that_are_none(url: str) -> None:
    with pytest.raises(ConfigurationError, match="expected http://HOST:PORT/PATH"):
        ask(url, "2s")


def test_times_that_are_none() -> None:
    with pytest.raises(ConfigurationError, match="--timeout: found '2', expected a time"):
        ask("tcp://127.0.0.1:1", "2")


def test_exit_codes(web: str) -> None:
    for arguments, expected in (([f"{web}/200"], 0), ([f"{web}/503"], 1), (["nothing"], 2), ([], 2)):
        command = [sys.executable, "-m", "infermesh.probe", *arguments]
        assert subprocess.run(command, capture_output=True, check=False).returncode == expected


def test_it_imports_little() -> None:
    """What is run every few seconds must not import a command line, or gRPC, for a question over HTTP."""
    script = "import sys, infermesh.probe; print(*{'typer', 'pydantic', 'grpc'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
