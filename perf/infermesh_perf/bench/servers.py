"""The processes of a measurement, all of them up. What crashes is started again, and the crash is counted."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import TypeVar

from infermesh_perf.errors import RunError
from infermesh_perf.processes import READY_SECONDS, Command, Running, serving
from infermesh_perf.rpc import Client

# Starts of one of them again after it has crashed.
CRASHES_ALLOWED = 5

T = TypeVar("T")


class Servers:
    """Servers under load, and proxies before them."""

    def __init__(self, stack: ExitStack, commands: Mapping[str, Command], crashes: dict[str, int]) -> None:
        """Starts them one after the other; `stack` ends them. Raises RunError when one does not come up."""
        self._stack = stack
        self._commands = commands
        self._crashes = crashes
        self._running = {name: self._start(name) for name in commands}

    @property
    def names(self) -> list[str]:
        """In the order of their turns."""
        return list(self._commands)

    def use(self, name: str, work: Callable[[Running], T]) -> T:
        """What `work` makes of one of them.

        Tries again where it fails because this one, or another that it asks, has crashed. Else raises its
        RunError.
        """
        while True:
            try:
                return work(self._running[name])
            except RunError:
                gone = [other for other, server in self._running.items() if server.has_ended()]
                if not gone or any(self._crashes.get(other, 0) >= CRASHES_ALLOWED for other in gone):
                    raise
            for other in gone:
                self._crashes[other] = self._crashes.get(other, 0) + 1
                self._running[other] = self._start(other)
            self._wait_until_answered(name)

    def _start(self, name: str) -> Running:
        return self._stack.enter_context(serving(self._commands[name]))

    def _wait_until_answered(self, name: str) -> None:
        """A proxy gives one that has come back its requests only when it knows of that."""
        command, deadline = self._commands[name], time.monotonic() + READY_SECONDS
        with Client(command.grpc_port, identity=command.identity) as client:
            while not client.ready(command.model, timeout=1):
                if time.monotonic() > deadline:
                    raise RunError(f"{name} does not answer since what crashed was started again")
