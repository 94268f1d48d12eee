"""A sidecar that makes one call of several requests, and gives equal ones the answer that is there."""

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.client import Client
from support.repository import Repository
from support.server import Serve, Server
from support.sidecar import SECONDS, Sidecar, write_config

CALLERS = 8

#: Slow enough that requests which come meanwhile wait for the next call.
MODEL = """
import time


class Model:
    inputs = {"x": ("FP32", [1])}
    outputs = {"y": ("FP32", [1])}
    max_batch_size = 64

    def infer(self, batch):
        if (batch["x"] < 0).any():
            raise ValueError("no negative numbers")
        time.sleep(0.1)
        return {"y": batch["x"] * 3}
"""

Start = Callable[..., int]


@pytest.fixture
def server(serve: Serve, repository: Repository) -> Server:
    """A server with a model that multiplies by three, and takes its time."""
    # Without a batcher of its own, so that what shares a call does so because of the sidecar.
    repository.python("slow", MODEL, config="max_batch_size: 64")
    server = serve()
    server.wait_ready()
    return server


@pytest.fixture
def start(server: Server, tmp_path: Path) -> Iterator[Start]:
    """Start a sidecar with these settings of its service, ready; the port that apps call."""
    started: list[Sidecar] = []

    def begin(**service: Any) -> int:
        services = {"models": {"endpoints": f"127.0.0.1:{server.port}", **service}}
        config = write_config(tmp_path, services=services, outbound={"listen": "127.0.0.1:0"}, threads=1)
        started.append(Sidecar("--config", config))
        started[-1].wait_for("sidecar-ready")
        return started[-1].port("outbound")

    yield begin
    try:
        for sidecar in started:
            sidecar.terminate()
            assert sidecar.wait() == 0, sidecar.errors
    finally:
        for sidecar in started:
            sidecar.kill()


def post(port: int, x: float) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("POST", "/models/slow", json.dumps({"x": x}))
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def all_at_once(port: int, values: list[float]) -> dict[float, tuple[int, Any]]:
    found: dict[float, tuple[int, Any]] = {}
    callers = [threading.Thread(target=lambda x=x: found.__setitem__(x, post(port, x))) for x in values]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(SECONDS)
    return found


def requests(server: Server) -> int:
    """Requests that the model has had so far."""
    with Client(f"127.0.0.1:{server.port}") as client:
        return int(client.statistics("slow").inference_stats.success.count)


def test_requests_share_a_call_and_get_their_own_answers(start: Start, server: Server) -> None:
    port = start(coalesce={"max_delay": "300ms"})
    values = [float(number) for number in range(CALLERS)]
    assert all_at_once(port, values) == {x: (200, {"y": [3 * x]}) for x in values}
    assert requests(server) < CALLERS / 2


def test_without_a_delay_those_share_that_come_meanwhile(start: Start, server: Server) -> None:
    port = start(coalesce={})
    values = [float(number) for number in range(CALLERS)]
    assert all_at_once(port, values) == {x: (200, {"y": [3 * x]}) for x in values}
    assert requests(server) < CALLERS


def test_one_that_is_wrong_spoils_no_other(start: Start) -> None:
    port = start(coalesce={"max_delay": "300ms"})
    found = all_at_once(port, [1.0, 2.0, -1.0])
    assert found.pop(-1.0)[0] == 500
    assert found == {1.0: (200, {"y": [3.0]}), 2.0: (200, {"y": [6.0]})}


def test_an_equal_request_gets_the_answer_that_is_there(start: Start, server: Server) -> None:
    port = start(cache={})
    assert [post(port, x) for x in (1.0, 2.0, 1.0, 1.0)] == [
        (200, {"y": [3.0]}),
        (200, {"y": [6.0]}),
        (200, {"y": [3.0]}),
        (200, {"y": [3.0]}),
    ]
    assert requests(server) == 2
