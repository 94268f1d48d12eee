"""One process under watch: real ones, of a few lines of Python."""

import asyncio
import os
import select
import signal
import socket
import sys
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from infermesh.launch import process as watched
from infermesh.launch.ports import HOST
from infermesh.launch.process import Command, FailedStartError, Probe, Process, State

#: Answers GETs with 200 on the port in PORT, and says its id.
SERVER = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self): self.send_response(200); self.end_headers()
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
print("pid", os.getpid(), flush=True)
server.serve_forever()
"""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched, "FIRST_PAUSE", 0.01)


@pytest.fixture
def port() -> int:
    with socket.create_server((HOST, 0)) as free:
        return int(free.getsockname()[1])


class Kept:
    """A process that is kept, and what it has said."""

    def __init__(self, text: str, port: int, path: str | None = "/", grace: float = 5) -> None:
        self.lines: list[str] = []
        self._news = asyncio.Event()
        probe = Probe(port, path)
        command = Command(
            "it", [sys.executable, "-c", text], Path.cwd(), {"PORT": str(port)}, probe, probe, grace
        )
        self.process = Process(command, self._say)
        self.task = asyncio.create_task(self.process.keep())

    def _say(self, _name: str, line: str) -> None:
        self.lines.append(line)
        self._news.set()

    async def said(self, what: str, count: int = 1) -> None:
        async with asyncio.timeout(10):
            while sum(what in line for line in self.lines) < count:
                self._news.clear()
                await self._news.wait()

    @property
    def pids(self) -> list[int]:
        return [int(line.split()[1]) for line in self.lines if line.startswith("pid ")]


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 20))


def test_it_is_ready_when_it_answers_and_ends_when_told(port: int) -> None:
    async def work() -> None:
        kept = Kept(SERVER, port)
        await kept.process.wait_ready()
        assert kept.process.state is State.READY
        await kept.process.stop()
        await kept.task
        assert str(kept.process.state) == State.ENDED
        assert kept.process.restarts == 0

    run(work())


def test_one_that_is_killed_is_started_again(port: int) -> None:
    async def work() -> None:
        kept = Kept(SERVER, port)
        await kept.process.wait_ready()
        os.kill(kept.pids[0], signal.SIGKILL)
        await kept.said("pid", 2)
        assert kept.process.restarts == 1
        assert "ended by itself (SIGKILL); it is started again in 0.01 s" in kept.lines
        await kept.process.stop()
        await kept.task

    run(work())


def test_one_that_never_comes_up_is_a_failure_that_says_what_it_said(port: int) -> None:
    async def work() -> None:
        kept = Kept("import sys; sys.exit('no disk')", port)
        with pytest.raises(
            FailedStartError, match=r"it does not come up: it ended with code 1\n(.*\n)*  no disk"
        ):
            await kept.task
        assert kept.lines.count("no disk") == watched.TRIES

    run(work())


def test_one_whose_configuration_is_wrong_is_not_tried_again(port: int) -> None:
    async def work() -> None:
        kept = Kept("print('wrong'); raise SystemExit(2)", port)
        with pytest.raises(FailedStartError, match="code 2"):
            await kept.task
        assert kept.lines.count("wrong") == 1

    run(work())


def test_a_program_that_is_not_there_is_named(port: int) -> None:
    async def work() -> None:
        probe = Probe(port, None)
        command = Command("it", ["./no-such-program"], Path.cwd(), {}, probe, probe, 1)
        with pytest.raises(FailedStartError, match=r"it: cannot run \./no-such-program: No such file"):
            await Process(command, lambda *_: None).keep()

    run(work())


def test_one_that_does_not_end_is_killed_with_its_children(port: int) -> None:
    text = f"""
import os, signal
signal.signal(signal.SIGTERM, lambda *_: print("not yet", flush=True))
child = os.fork()
os.write(1, f"{{'child' if child == 0 else 'parent'}} {{os.getpid()}}\\n".encode())
if child == 0:
    signal.pause(); signal.pause()
{SERVER}
"""

    async def work() -> None:
        kept = Kept(text, port, grace=0.2)
        await kept.process.wait_ready()
        await kept.said("child ")
        await kept.process.stop()
        await kept.task
        assert "has not ended within 0.2 s, and is killed" in kept.lines
        (child,) = (int(line.split()[1]) for line in kept.lines if line.startswith("child "))
        await asyncio.to_thread(wait_until_gone, child)

    run(work())


def wait_until_gone(pid: int) -> None:
    with suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        try:
            assert select.select([descriptor], [], [], 10)[0], f"{pid} is still there"
        finally:
            os.close(descriptor)


def test_a_line_without_an_end_is_shown(port: int) -> None:
    async def work() -> None:
        kept = Kept(f"print('x' * {3 * watched.LINE_BYTES}, end='')\n" + SERVER, port)
        await kept.process.wait_ready()
        await kept.process.stop()
        await kept.task
        assert "".join(kept.lines).count("x") == 3 * watched.LINE_BYTES

    run(work())
