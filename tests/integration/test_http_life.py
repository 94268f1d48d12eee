"""HTTP requests that are given up, that take too long, and that meet the end of the server."""

import http.client
import socket

import pytest
from support.client import Client, ints, request
from support.gate import Gate
from support.python_models import GATED
from support.repository import Repository
from support.rest import HTTP, Rest, json_request
from support.server import Serve, Server

PROMPT_SECONDS = 6.0
INFER = "/v2/models/gated/infer"


def asked(value: int) -> dict[str, object]:
    return json_request("INT32", [1, 1], [value])


@pytest.fixture
def gated(serve: Serve, repository: Repository, gate: Gate) -> Server:
    """A server with a model that the test can hold."""
    repository.python("gated", GATED, config=gate.config)
    server = serve(*HTTP)
    server.wait_ready()
    return server


def wait_pending(port: int, count: int) -> None:
    """Return when so many requests wait in the queue."""
    line = f'nv_inference_pending_request_count{{model="gated",version="1"}} {count}'
    with Rest(port) as metrics:
        for _ in range(5000):
            if line in metrics.get("/metrics").body.decode().splitlines():
                return
    raise AssertionError(f"never {count} requests waited")


def test_a_client_that_leaves_takes_its_request_with_it(gated: Server, gate: Gate) -> None:
    with Client(gated.target) as client, Rest(gated.http_port) as leaving:
        held = client.start(request("gated", x=ints([0])))
        gate.next_batch()
        leaving.send("POST", INFER, asked(1))
        wait_pending(gated.metrics_port, 1)
        leaving.connection.close()
        # A second one, so that the server has surely read the first one's farewell.
        with Rest(gated.http_port) as other:
            other.get("/v2/health/live")
            other.send("POST", INFER, asked(2))
            gate.open()
            assert other.answer().json["outputs"][0]["data"] == [2]
        held.result()
        assert gate.next_batch().rows == [[2]]


def test_a_deadline_that_passes(gated: Server, gate: Gate) -> None:
    with Rest(gated.http_port) as rest:
        answer = rest.post(INFER, asked(1), {"grpc-timeout": "200m"})
        assert (answer.status, answer.error) == (504, "Deadline Exceeded")
        gate.open()
        assert rest.post(INFER, asked(2), {"grpc-timeout": "20S"}).status == 200


def test_what_was_accepted_is_answered_and_the_connection_closed(gated: Server, gate: Gate) -> None:
    with Rest(gated.http_port) as running, Rest(gated.http_port) as idle:
        idle.get("/v2/health/live")
        running.send("POST", INFER, asked(7))
        gate.next_batch()
        gated.terminate()
        gated.wait_for("server-draining")
        # The idle connection is closed rather than answered.
        assert idle.connection.sock is not None
        assert idle.connection.sock.recv(1) == b""
        gate.open()
        answer = running.answer()
        assert answer.json["outputs"][0]["data"] == [7]
        assert answer.headers.get("connection") == "close"
        with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
            Rest(gated.http_port).get("/v2/health/live")
        assert gated.wait(PROMPT_SECONDS) == 0


@pytest.mark.parametrize(
    "half",
    [
        b"",
        b"POST /v2/models/gated/infer HTTP/1.1\r\nHost:",
        b"POST /v2/models/gated/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
    ],
)
def test_half_a_request_does_not_hold_the_end_up(gated: Server, half: bytes) -> None:
    with socket.create_connection(("127.0.0.1", gated.http_port), timeout=20) as client:
        client.sendall(half)
        with Rest(gated.http_port) as rest:
            rest.get("/v2/health/live")
        gated.terminate()
        assert gated.wait(PROMPT_SECONDS) == 0
        said = client.recv(65536)
        assert said == b"" or said.startswith(b"HTTP/1.1 503 ")


def test_an_answer_that_nobody_reads_does_not_hold_the_end_up(serve: Serve, repository: Repository) -> None:
    from support import onnx_models

    repository.onnx("wide", onnx_models.identity("FP32", ("n", "m")))
    server = serve(*HTTP, "--exit-timeout-secs", "3")
    server.wait_ready()
    with socket.create_connection(("127.0.0.1", server.http_port), timeout=20) as client:
        for _ in range(50):
            client.sendall(b"GET /v2/models/wide/config HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(1) == b"H"
        server.terminate()
        assert server.wait(PROMPT_SECONDS) == 0


@pytest.mark.parametrize("which", ["http", "metrics"])
def test_a_port_in_use_is_named_with_what_to_try(serve: Serve, which: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        server = serve(f"--{which}-address", "127.0.0.1", f"--{which}-port", str(port))
        assert server.wait(PROMPT_SECONDS) == 1
    said = "\n".join(server.errors)
    assert f"cannot listen on 127.0.0.1:{port}" in said
    assert f"--no-{which} does without" in said
    assert "Traceback" not in said
