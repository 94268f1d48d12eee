"""Starts a server as a child process, waits until it is ready and ends it by its own process id."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from infermesh_perf import memory
from infermesh_perf.errors import RunError
from infermesh_perf.rpc import Client

POLL_SECONDS = 0.002
READY_SECONDS = 120.0
STOP_SECONDS = 20.0
CRASH_SECONDS = 5.0


@dataclass(frozen=True)
class Command:
    """What starts a server that has one model; `environment` is added to this process's own.

    `identity` is a folder with the identity of somebody whom it answers, where it is to want mutual TLS.
    """

    arguments: tuple[str, ...]
    model: str
    grpc_port: int
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: Path | None = None
    identity: Path | None = None


@dataclass(frozen=True)
class Running:
    """A server that is ready. `ready_seconds` went by from its start until it and its model said so."""

    pid: int
    port: int
    ready_seconds: float
    has_ended: Callable[[], bool]

    def memory(self) -> memory.Memory:
        """What its process tree holds now, in bytes."""
        return memory.of_tree(self.pid)


def free_ports(count: int) -> list[int]:
    """`count` different loopback ports that nothing listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


@contextmanager
def serving(command: Command) -> Iterator[Running]:
    """Runs the server for as long as the block lasts.

    Raises RunError, with the end of its log, when it ends early or is not ready within READY_SECONDS; also
    when it answers in plaintext although its command has an identity.
    """
    command.log.parent.mkdir(parents=True, exist_ok=True)
    with command.log.open("wb") as log:
        started = time.monotonic()
        process = subprocess.Popen(
            command.arguments,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **command.environment},
            cwd=command.directory,
            # A group of its own: an interrupt from the terminal reaches it only through `_stop`.
            start_new_session=True,
        )
    try:
        _wait_ready(process, command, started + READY_SECONDS)
        yield Running(process.pid, command.grpc_port, time.monotonic() - started, partial(_ends, process))
    finally:
        _stop(process)


def _wait_ready(process: subprocess.Popen[bytes], command: Command, deadline: float) -> None:
    while not _accepts(command.grpc_port):
        _check_alive(process, command, deadline)
        time.sleep(POLL_SECONDS)
    with Client(command.grpc_port, identity=command.identity) as client:
        while not client.ready(command.model, timeout=5):
            _check_alive(process, command, deadline)
            _check_tls(command)
            time.sleep(POLL_SECONDS)
    _check_tls(command)


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _check_alive(process: subprocess.Popen[bytes], command: Command, deadline: float) -> None:
    code = process.poll()
    if code is not None:
        raise RunError(f"{command.arguments[0]} ended with {code} before it was ready:\n{_tail(command.log)}")
    if time.monotonic() > deadline:
        name = command.arguments[0]
        raise RunError(f"{name} was not ready within {READY_SECONDS:.0f} s:\n{_tail(command.log)}")


def _check_tls(command: Command) -> None:
    if command.identity is None:
        return
    # Else a server that overlooks what it was told would be measured in plaintext, and that called TLS.
    with Client(command.grpc_port) as client:
        if client.ready(command.model, timeout=1):
            raise RunError(f"{command.arguments[0]} answers in plaintext, expected nothing but mutual TLS")


def _tail(log: Path, lines: int = 20) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) or f"(nothing in {log.name})"


def _ends(process: subprocess.Popen[bytes]) -> bool:
    """Whether it is gone; one that crashes takes a moment to write down how."""
    try:
        process.wait(CRASH_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    # Its children outlive one that does not end in time, or that has crashed.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
