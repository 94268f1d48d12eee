"""A share of a service's requests goes to another service, with the real data plane between real servers."""

import http.client
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support import onnx_models
from support.client import Client, floats, outputs, request
from support.repository import Repository
from support.server import LOOPBACK, Server, serving
from support.sidecar import SECONDS, Sidecar, write_config

REQUESTS = 40
#: Of them: a tenth, give or take one.
EXPECTED = range(3, 6)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[list[Server]]:
    """Two servers with a model of the same name: one multiplies by three, the other by five."""
    with ExitStack() as stack:
        started = []
        for name, factor in (("main", 3.0), ("canary", 5.0)):
            repository = Repository.make(tmp_path / name)
            repository.onnx("scale", onnx_models.scale(factor, ("n", 1)))
            started.append(stack.enter_context(serving(repository.root, *LOOPBACK)))
        yield started


@pytest.fixture
def sidecar(servers: list[Server], tmp_path: Path) -> Iterator[Sidecar]:
    """A sidecar that sends a tenth of what is for the one to the other, which is said first."""
    main, canary = (f"127.0.0.1:{server.port}" for server in servers)
    config = write_config(
        tmp_path,
        services={
            "scale-canary": {"endpoints": canary, "models": "scale"},
            "scale": {"endpoints": main, "split": {"scale-canary": "10%"}},
        },
        outbound={"listen": "127.0.0.1:0"},
    )
    sidecar = Sidecar("--config", config)
    try:
        sidecar.wait_for("sidecar-ready")
        yield sidecar
        sidecar.terminate()
        assert sidecar.wait() == 0, sidecar.errors
    finally:
        sidecar.kill()


def post(connection: http.client.HTTPConnection, body: object) -> Any:
    connection.request("POST", "/models/scale", json.dumps(body), {"content-type": "application/json"})
    answer = connection.getresponse()
    assert answer.status == 200
    return json.loads(answer.read())


def test_a_tenth_is_answered_by_the_canary(sidecar: Sidecar) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", sidecar.port("outbound"), timeout=SECONDS)
    try:
        answers = Counter(post(connection, {"x": 1.0})["y"][0] for _ in range(REQUESTS))
    finally:
        connection.close()
    assert set(answers) == {3.0, 5.0}
    assert answers[5.0] in EXPECTED
    found = {it["cluster"]: it for it in sidecar.admin("/endpoints")[1]}
    assert found["scale"]["split"] == {"scale-canary": 0.1}
    assert found["scale-canary"]["split"] == {}
    # What the model takes was asked of the service itself, before the first request.
    assert found["scale-canary"]["requests"] == answers[5.0]
    assert found["scale"]["requests"] == answers[3.0] + 1


def test_a_service_that_gets_a_share_is_called_by_its_own_name_too(sidecar: Sidecar) -> None:
    port = sidecar.port("outbound")
    sent = floats(1, 1)
    with Client(f"127.0.0.1:{port}", ("grpc.default_authority", "scale-canary")) as client:
        for _ in range(3):
            answer = outputs(client.infer(request("scale", x=sent)))["y"]
            assert (answer == 5.0 * sent).all()
