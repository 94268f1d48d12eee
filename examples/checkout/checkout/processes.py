"""Child processes: started, awaited until they say that they are ready, ended in order."""

import http.client
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

START_SECONDS = 30.0
STOP_SECONDS = 15.0

#: How long one question, and the pause before the next, may take.
ASK_SECONDS = 2.0
PAUSE_SECONDS = 0.02


class ProcessFailed(Exception):  # noqa: N818 - what happened, not an error class to catch
    """A process did not get ready, or did not end well; the message holds what it said."""


@contextmanager
def running(name: str, command: Sequence[str], log: Path, *, port: int, ready: str) -> Iterator[None]:
    """Have a process for as long as the block lasts: from when GET ``ready`` on ``port`` answers 200.

    What it says goes to ``log``. SIGTERM ends it. Raises ProcessFailed if the port is taken, if the process
    is not ready in time, ends before the block does, or with anything but 0.
    """
    if _answer(port, ready) is not None:
        raise ProcessFailed(f"{name} cannot start: something else listens on port {port}")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        # In a session of its own: Ctrl-C is for this process, which ends its children in order.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_ready(name, process, log, port, ready)
        yield
        _end(name, process, log)
    finally:
        if process.poll() is None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
        if process.poll() is None:
            process.kill()
            process.wait()


def _wait_until_ready(name: str, process: subprocess.Popen[bytes], log: Path, port: int, ready: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while _answer(port, ready) != http.client.OK:
        if time.monotonic() > deadline:
            raise ProcessFailed(f"{name} was not ready after {START_SECONDS:g} s:\n{_said(log)}")
        with suppress(subprocess.TimeoutExpired):
            code = process.wait(PAUSE_SECONDS)
            raise ProcessFailed(f"{name} ended with {code} before it was ready:\n{_said(log)}")


def _end(name: str, process: subprocess.Popen[bytes], log: Path) -> None:
    if process.poll() is not None:
        raise ProcessFailed(f"{name} ended too early, with {process.returncode}:\n{_said(log)}")
    process.terminate()
    try:
        code = process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise ProcessFailed(f"{name} did not end within {STOP_SECONDS:g} s of SIGTERM") from error
    if code != 0:
        raise ProcessFailed(f"{name} ended with {code}:\n{_said(log)}")


def _answer(port: int, path: str) -> int | None:
    """Return the status of a GET; None if nobody listens, 0 if somebody does and speaks no HTTP."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=ASK_SECONDS)) as connection:
        try:
            connection.connect()
        except OSError:
            return None
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0


def _said(log: Path) -> str:
    return log.read_text(errors="replace")[-4000:].strip()
