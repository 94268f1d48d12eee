"""A sidecar with its data plane, between real apps and real models."""

import http.client
import json
import signal
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from infermesh.capture import reader
from support import onnx_models
from support.client import Client, floats, outputs, request
from support.repository import Repository
from support.server import Serve, Server
from support.sidecar import SECONDS, Sidecar, until, write_config

#: There is one beside every app.
MAX_RESIDENT = 64 << 20

Start = Callable[..., Sidecar]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a sidecar with these settings, ready; after the test it ends in order."""
    started: list[Sidecar] = []

    def begin(**settings: Any) -> Sidecar:
        started.append(Sidecar("--config", write_config(tmp_path, **settings)))
        started[-1].wait_for("sidecar-ready")
        return started[-1]

    yield begin
    try:
        for sidecar in started:
            sidecar.terminate()
            assert sidecar.wait() == 0, sidecar.errors
    finally:
        for sidecar in started:
            sidecar.kill()


@pytest.fixture
def server(serve: Serve, repository: Repository) -> Server:
    """A server with a model that multiplies by three."""
    repository.onnx("scale", onnx_models.scale(3.0, ("n", 1)))
    server = serve()
    server.wait_ready()
    return server


@pytest.fixture
def app() -> Iterator[ThreadingHTTPServer]:
    """An app that knows nothing of models: it answers with what it was sent."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.send_header("x-seen-score", self.headers.get("x-score", "none"))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def post(port: int, path: str, body: object) -> tuple[int, http.client.HTTPMessage, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.headers, json.loads(answer.read())
    finally:
        connection.close()


def outbound(server: Server, **service: Any) -> dict[str, Any]:
    return {
        "services": {"models": {"endpoints": f"127.0.0.1:{server.port}", **service}},
        "outbound": {"listen": "127.0.0.1:0"},
    }


def inbound(app: ThreadingHTTPServer, server: Server, **enrichment: Any) -> dict[str, Any]:
    return {
        "services": {"models": {"endpoints": f"127.0.0.1:{server.port}"}},
        "inbound": {
            "listen": "127.0.0.1:0",
            "app": f"127.0.0.1:{app.server_port}",
            "enrich": {"match": {"path": "/orders"}, "model": "scale", "timeout": "10s", **enrichment},
        },
    }


def test_an_app_calls_a_model_as_it_likes(start: Start, server: Server) -> None:
    sidecar = start(**outbound(server))
    port = sidecar.port("outbound")
    with Client(f"127.0.0.1:{port}") as client:
        assert outputs(client.infer(request("scale", x=floats(2, 1))))["y"].shape == (2, 1)
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [2.0]}
    status, _, body = post(port, "/v2/models/scale/infer", {"inputs": [tensor]})
    assert (status, body["outputs"][0]["data"]) == (200, [6.0])
    status, _, body = post(port, "/models/scale", {"x": 2.0})
    assert (status, body) == (200, {"y": [6.0]})


def test_a_request_is_scored_before_the_app_sees_it(
    start: Start, server: Server, app: ThreadingHTTPServer
) -> None:
    places = {"y": ["body.risk.score", "header.x-score"]}
    sidecar = start(**inbound(app, server, inputs={"x": "body.amount"}, outputs=places))
    status, headers, body = post(sidecar.port("inbound"), "/orders", {"amount": 12.5, "id": 7})
    assert status == 200
    assert body == {"amount": 12.5, "id": 7, "risk": {"score": 37.5}}
    assert headers["x-seen-score"] == "37.5"
    # What the rule is not about passes as it is.
    _, headers, body = post(sidecar.port("inbound"), "/other", {"amount": 12.5})
    assert (body, headers["x-seen-score"]) == ({"amount": 12.5}, "none")


def test_a_function_says_what_fields_cannot(
    start: Start, server: Server, app: ThreadingHTTPServer, tmp_path: Path
) -> None:
    (tmp_path / "features.py").write_text(
        "def total(call):\n    return {'x': [[sum(item['price'] for item in call.fields['items'])]]}\n"
    )
    fields = {"inputs": {"items": "body.items"}, "outputs": {"y": "body.risk"}, "transform": "features:total"}
    sidecar = start(**inbound(app, server, **fields))
    items = [{"price": 1.5}, {"price": 2.5}]
    _, _, body = post(sidecar.port("inbound"), "/orders", {"items": items})
    assert body == {"items": items, "risk": 12.0}


def test_endpoints_of_a_file_are_followed(start: Start, server: Server, tmp_path: Path) -> None:
    file = tmp_path / "endpoints.yaml"
    file.write_text("models: []\n")
    sidecar = start(services={"models": {"endpoints_file": file.name}}, outbound={"listen": "127.0.0.1:0"})
    port = sidecar.port("outbound")
    assert post(port, "/models/scale", {"x": 2.0})[0] == 503
    file.write_text(f"models: ['127.0.0.1:{server.port}']\n")
    sidecar.wait_for("endpoints-changed")
    assert post(port, "/models/scale", {"x": 2.0})[0] == 200


def test_requests_and_answers_are_kept(start: Start, server: Server, tmp_path: Path) -> None:
    sidecar = start(**outbound(server), capture={"directory": "captures", "sample": "100%"})
    with Client(f"127.0.0.1:{sidecar.port('outbound')}") as client:
        client.infer(request("scale", id_="first", x=floats(1, 1)))
    sidecar.terminate()
    assert sidecar.wait() == 0
    found = [it for it in reader.read(tmp_path / "captures") if it.record.path.endswith("/ModelInfer")]
    (inference,) = found[0].responses
    assert inference.id == "first"


def test_it_shows_what_it_does(start: Start, server: Server) -> None:
    sidecar = start(**outbound(server))
    admin = f"127.0.0.1:{sidecar.port('admin')}"
    post(sidecar.port("outbound"), "/models/scale", {"x": 2.0})
    asked = Sidecar("status", "--admin", admin, "--format", "text")
    assert asked.wait() == 0, asked.errors
    lines = [" ".join(line.split()) for line in asked.lines]
    assert lines[0].startswith("test 0.1.0, ready, up for ")
    assert any(line.startswith("outbound models models 1 ") for line in lines)
    assert any(line.startswith(f"models 127.0.0.1:{server.port} in use ") for line in lines)


def test_requests_are_seen_as_they_pass(start: Start, server: Server) -> None:
    sidecar = start(**outbound(server))
    admin = f"127.0.0.1:{sidecar.port('admin')}"
    tap = Sidecar("tap", "--admin", admin, "--format", "json", "--route", "models")
    try:

        def seen() -> bool:
            # What passed before somebody looked is not shown.
            post(sidecar.port("outbound"), "/models/scale", {"x": 2.0})
            return any(record.get("event") == "end" for record in tap.records)

        until(seen)
    finally:
        tap.signal(signal.SIGINT)
    assert tap.wait() == 0
    end = next(record for record in tap.records if record["event"] == "end")
    assert (end["infermesh.cluster"], end["url.path"]) == ("models", "/models/scale")


def test_what_cannot_be_asked_for_is_a_mistake_of_the_command_line(start: Start, server: Server) -> None:
    sidecar = start(**outbound(server))
    asked = Sidecar("tap", "--admin", f"127.0.0.1:{sidecar.port('admin')}", "--code", "gone")
    assert asked.wait() == 2
    assert "found code 'gone', expected a gRPC code by name or number" in asked.errors[0]


def test_it_is_small(start: Start, server: Server) -> None:
    sidecar = start(**outbound(server))
    port = sidecar.port("outbound")
    with Client(f"127.0.0.1:{port}") as client:
        for _ in range(200):
            client.infer(request("scale", x=floats(64, 1)))
    status = Path(f"/proc/{sidecar.pid}/status").read_text()
    resident = next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM"))
    assert resident < MAX_RESIDENT


def test_a_second_one_on_the_port_is_told(start: Start, server: Server) -> None:
    sidecar = start(**outbound(server))
    taken = f"127.0.0.1:{sidecar.port('outbound')}"
    other = Sidecar("--listen", taken, "--upstream", f"127.0.0.1:{server.port}", "--admin", "off")
    assert other.wait() == 1
    assert other.errors[0].startswith(f"Error: cannot listen on {taken}: ")
    until(lambda: sidecar.admin("/ready")[0] == 200)
