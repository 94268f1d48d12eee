"""How long a request waited in its model's queue, for callers who ask: proxies with a limit."""

import time
from typing import Any

from support import onnx_models
from support.client import SECONDS, Client, floats, ints, request
from support.ensembles import chain, put_ensemble
from support.gate import Gate
from support.python_models import GATED
from support.repository import Repository
from support.rest import HTTP, Rest
from support.server import Serve

ASKS = ("x-infermesh-timing", "1")
TOLD = "x-infermesh-queue-us"


def told(call: Any) -> int | None:
    """Of a call that has ended: microseconds."""
    call.result(timeout=SECONDS)
    values = [int(value) for name, value in call.trailing_metadata() if name == TOLD]
    assert len(values) <= 1
    return values[0] if values else None


def test_who_asks_is_told_and_nobody_else(serve: Serve, repository: Repository, gate: Gate) -> None:
    repository.python("gated", GATED, config=gate.config)
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        infer = client.inference.ModelInfer
        begun = time.monotonic()
        first = infer.future(request("gated", x=ints([0])), timeout=SECONDS, metadata=(ASKS,))
        gate.next_batch()
        waits = infer.future(request("gated", x=ints([1])), timeout=SECONDS, metadata=(ASKS,))
        unasked = infer.future(request("gated", x=ints([2])), timeout=SECONDS)
        client.fence()
        waiting = time.monotonic()
        for _ in range(20):
            client.fence()
        at_least = time.monotonic() - waiting
        gate.open()
        queued = told(waits)
        at_most = time.monotonic() - begun
        assert queued is not None
        assert at_least <= queued / 1e6 <= at_most
        alone = told(first)
        assert alone is not None
        assert alone < queued
        assert told(unasked) is None


def test_the_time_comes_in_the_head_over_http(serve: Serve, repository: Repository) -> None:
    repository.onnx("double", onnx_models.scale(2.0))
    server = serve(*HTTP)
    server.wait_ready()
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}]}
    with Rest(server.http_port) as rest:
        answer = rest.post("/v2/models/double/infer", body, dict([ASKS]))
        assert answer.status == 200
        assert int(answer.headers[TOLD]) < SECONDS * 1e6
        assert TOLD not in rest.post("/v2/models/double/infer", body).headers


def test_an_ensemble_has_no_queue_of_its_own(serve: Serve, repository: Repository) -> None:
    repository.onnx("double", onnx_models.scale(2.0))
    put_ensemble(repository, "twice", chain("double", "double"))
    server = serve()
    server.wait_ready()
    with Client(server.target) as client:
        call = client.inference.ModelInfer.future(
            request("twice", x=floats(1, 4)), timeout=SECONDS, metadata=(ASKS,)
        )
        assert told(call) is None
