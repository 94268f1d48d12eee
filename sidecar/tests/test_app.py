"""Whether an app is there, on a clock that is moved by hand."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from infermesh_sidecar.process.app import accepts, look, wait_for_answer, wait_for_end
from infermesh_sidecar.process.launch import App


class Clock:
    """Time passes only while somebody waits."""

    def __init__(self, stop_at: float = float("inf")) -> None:
        self.time = 1000.0
        self.stop_at = self.time + stop_at

    def now(self) -> float:
        return self.time

    def wait(self, seconds: float) -> bool:
        self.time += seconds
        return self.time >= self.stop_at

    def pause(self, seconds: float) -> None:
        self.time += seconds


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address that is bound, and on which nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[Callable[[bytes], str]]:
    """Make an app on a unix socket that answers each connection with the same bytes."""
    listening: list[socket.socket] = []

    def answer(text: bytes) -> str:
        path = tmp_path / f"{len(listening)}.sock"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()
        listening.append(listener)

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                # Who only looks whether somebody is there is gone by now.
                with connection, suppress(OSError):
                    connection.recv(1024)
                    connection.sendall(text)

        threading.Thread(target=serve, daemon=True).start()
        return f"unix:{path}"

    yield answer
    for listener in listening:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def test_one_that_does_not_come_is_waited_for_in_its_time(nobody: str) -> None:
    clock = Clock()
    assert wait_for_answer(App(nobody, "", 60.0), clock.wait, clock.now) == "Connection refused"
    assert clock.time == pytest.approx(1060, abs=0.2)


def test_the_wait_ends_when_it_has_to(nobody: str) -> None:
    clock = Clock(stop_at=5)
    assert wait_for_answer(App(nobody, "", 60.0), clock.wait, clock.now) is None
    assert clock.time == pytest.approx(1005, abs=0.2)


def test_one_that_is_there_is_not_waited_for(answering: Callable[[bytes], str]) -> None:
    clock = Clock()
    app = App(answering(b"HTTP/1.1 204 No Content\r\n\r\n"), "/healthz", 60.0)
    assert wait_for_answer(app, clock.wait, clock.now) is None
    assert clock.time == 1000


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"HTTP/1.0 200 OK\r\n\r\n", None),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", None),
        (b"HTTP/1.1 401 Unauthorized\r\n\r\n", "/healthz answers 401"),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "/healthz answers 503"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "it answers 'SSH-2.0-OpenSSH_9.6', which is no HTTP/1.1"),
        (b"", "it answers '', which is no HTTP/1.1"),
    ],
)
def test_what_an_app_answers(answering: Callable[[bytes], str], answer: bytes, problem: str | None) -> None:
    assert look(answering(answer), "/healthz") == problem
    assert look(answering(answer), "") is None


def test_an_unknown_host_is_named() -> None:
    found = look("nowhere.invalid:80", "")
    assert found is not None
    assert "not known" in found or "resolution" in found or "No address" in found


def test_an_app_that_ends_and_one_that_stays(nobody: str, answering: Callable[[bytes], str]) -> None:
    clock = Clock()
    assert wait_for_end(nobody, 30, clock.pause, clock.now)
    assert clock.time == 1000
    assert not wait_for_end(answering(b""), 30, clock.pause, clock.now)
    assert clock.time == pytest.approx(1030, abs=0.2)
    assert not accepts(f"unix:{Path('/nowhere/a.sock')}")
