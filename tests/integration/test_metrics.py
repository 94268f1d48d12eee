"""/metrics: Prometheus' text format, Triton's names."""

import re

from support import onnx_models
from support.client import Client, floats, ints, request
from support.gate import Gate
from support.python_models import GATED, MOODY
from support.repository import Repository
from support.rest import HTTP, Rest
from support.server import Serve

LINE = re.compile(r'(\w+)\{model="(\w+)",version="(\d+)"(?:,reason="OTHER")?\} (\d+)')


def scrape(port: int) -> dict[tuple[str, str], int]:
    """Name and model to value; every line must be of the format."""
    with Rest(port) as rest:
        answer = rest.get("/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found: dict[tuple[str, str], int] = {}
    typed = set()
    for line in answer.body.decode().splitlines():
        if line.startswith("#"):
            typed.add(line.split()[2])
            continue
        match = LINE.fullmatch(line)
        assert match is not None, line
        name, model, version, value = match.groups()
        assert name in typed
        assert version == "1"
        found[name, model] = int(value)
    return found


def test_what_models_did(serve: Serve, repository: Repository) -> None:
    repository.onnx("scale", onnx_models.scale(3.0))
    repository.python("moody", MOODY)
    server = serve(*HTTP)
    server.wait_ready()
    assert set(scrape(server.metrics_port).values()) == {0}
    with Client(server.target) as client:
        for _ in range(2):
            client.infer(request("scale", x=floats(3, 4)))
        assert client.start(request("moody", x=ints([1]))).exception() is not None
    found = scrape(server.metrics_port)
    assert found["nv_inference_request_success", "scale"] == 2
    assert found["nv_inference_count", "scale"] == 6
    assert found["nv_inference_exec_count", "scale"] == 2
    assert found["nv_inference_request_failure", "scale"] == 0
    assert found["nv_inference_request_failure", "moody"] == 1
    assert found["nv_inference_request_duration_us", "scale"] > 0
    assert found["nv_inference_compute_infer_duration_us", "scale"] > 0
    for phase in ("queue", "compute_input", "compute_output"):
        assert (f"nv_inference_{phase}_duration_us", "scale") in found


def test_what_waits(serve: Serve, repository: Repository, gate: Gate) -> None:
    repository.python("gated", GATED, config=gate.config)
    server = serve(*HTTP)
    server.wait_ready()
    with Client(server.target) as client:
        calls = [client.start(request("gated", x=ints([0])))]
        gate.next_batch()
        calls += [client.start(request("gated", x=ints([value]))) for value in (1, 2)]
        client.fence()
        assert scrape(server.metrics_port)["nv_inference_pending_request_count", "gated"] == 2
        gate.open()
        for call in calls:
            call.result()
        assert scrape(server.metrics_port)["nv_inference_pending_request_count", "gated"] == 0


def test_only_metrics_live_there(serve: Serve, repository: Repository) -> None:
    repository.onnx("scale", onnx_models.scale(3.0))
    server = serve(*HTTP)
    server.wait_ready()
    with Rest(server.metrics_port) as rest:
        assert rest.call("HEAD", "/metrics").body == b""
        assert rest.get("/").status == 404
        assert rest.get("/v2/health/live").status == 404
        answer = rest.post("/metrics")
        assert (answer.status, answer.headers["allow"]) == (405, "GET")
