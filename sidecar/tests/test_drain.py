"""``infermesh sidecar drain``: a real sidecar is asked to end, and that is waited for."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.command_line import Outcome
from support.echo_app import ask, echoing
from support.native_proxy import proxying
from support.sidecar import Sidecar, write_config

NOWHERE = """
services: {m: {endpoints: "127.0.0.1:1"}}
outbound: {listen: "127.0.0.1:0", service: m}
"""


@pytest.fixture
def sidecar(tmp_path: Path) -> Iterator[Sidecar]:
    with echoing() as app:
        config = write_config(tmp_path, inbound={"listen": "127.0.0.1:0", "app": f"127.0.0.1:{app}"})
        started = Sidecar("--config", config)
        try:
            yield started
        finally:
            started.kill()


def test_the_end_is_waited_for(capsys: pytest.CaptureFixture[str], sidecar: Sidecar) -> None:
    assert ask(sidecar.port("inbound"), "/orders")[0] == 200
    admin = f"127.0.0.1:{sidecar.port('admin')}"
    outcome = Outcome(capsys, "sidecar", "drain", "--admin", admin, "--wait")
    assert (outcome.code, outcome.out) == (0, f"The sidecar at {admin} has ended\n")
    assert sidecar.wait() == 0


def test_it_may_be_asked_and_left(capsys: pytest.CaptureFixture[str]) -> None:
    with proxying(NOWHERE) as running:
        outcome = Outcome(capsys, "sidecar", "drain", "--admin", running.admin)
        assert outcome.out == f"The sidecar at {running.admin} finishes what it has accepted, and ends\n"
        assert running.proxy.drain_requested()


def test_an_end_that_does_not_come_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    # Nobody heeds it here.
    with proxying(NOWHERE) as running:
        arguments = ("--admin", running.admin, "--wait", "--timeout", "0.2")
        outcome = Outcome(capsys, "sidecar", "drain", *arguments)
    assert outcome.code == 1
    assert outcome.err == f"Error: the sidecar at {running.admin} has not ended within 0.2 s\n"
