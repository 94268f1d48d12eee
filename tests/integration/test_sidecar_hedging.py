"""A sidecar that asks a second server when the first is slow."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.client import Client, floats, outputs, request
from support.repository import Repository
from support.server import LOOPBACK, Server, serving
from support.sidecar import Sidecar, write_config

#: What the slow server takes, in seconds: nobody waits so long who is given another answer.
SLOW = 5.0

MODEL = """
import time


class Model:
    inputs = {{"x": ("FP32", [1])}}
    outputs = {{"y": ("FP32", [1])}}
    max_batch_size = 8

    def infer(self, batch):
        time.sleep({seconds})
        return {{"y": batch["x"] * 3}}
"""


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[list[Server]]:
    """A server that is slow, and one that is not."""
    with ExitStack() as stack:
        started = []
        for number, seconds in enumerate((SLOW, 0.0)):
            repository = Repository.make(tmp_path / f"repository-{number}")
            repository.python("m", MODEL.format(seconds=seconds))
            started.append(stack.enter_context(serving(repository.root, *LOOPBACK)))
        yield started


def test_nobody_waits_for_a_slow_server(servers: list[Server], tmp_path: Path) -> None:
    endpoints = [f"127.0.0.1:{server.port}" for server in servers]
    hedge = {"delay": "100ms", "budget_ratio": "100%"}
    services = {"models": {"endpoints": endpoints, "hedge": hedge}}
    config = write_config(tmp_path, services=services, outbound={"listen": "127.0.0.1:0"}, threads=1)
    sidecar = Sidecar("--config", config)
    try:
        sidecar.wait_for("sidecar-ready")
        with Client(f"127.0.0.1:{sidecar.port('outbound')}") as client:
            for _ in range(8):
                begun = time.monotonic()
                assert outputs(client.infer(request("m", x=floats(1, 1))))["y"].shape == (1, 1)
                assert time.monotonic() - begun < SLOW
        sidecar.terminate()
        assert sidecar.wait() == 0, sidecar.errors
    finally:
        sidecar.kill()
