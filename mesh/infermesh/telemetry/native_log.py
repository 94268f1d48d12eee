"""Writes what the data plane has to say into the process's log."""

import logging
import threading
import time
from types import TracebackType
from typing import Any, Protocol, Self

from infermesh.logs import ecs

_log = logging.getLogger("infermesh.native")

_LEVELS = {"error": logging.ERROR, "warning": logging.WARNING, "info": logging.INFO}
#: How long one look at an empty queue lasts; a record ends it at once.
_PATIENCE_SECONDS = 60.0

Record = tuple[float, str, str, str, dict[str, str | int | bool | list[str]]]


class Server(Protocol):
    """The part of ``infermesh_native.Server`` and ``Proxy`` that holds records; see there."""

    def take_log(self, timeout: float) -> list[Record]:
        """The next records; empty if there is none within ``timeout`` seconds."""

    def flush_log(self) -> None:
        """From now on ``take_log`` never waits."""


class NativeLog:
    """Within its context, a thread passes records on as they come; at its end, all that are left."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="native-log", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        self._server.flush_log()
        self._thread.join()

    def _run(self) -> None:
        while True:
            records = self._server.take_log(_PATIENCE_SECONDS)
            for record in records:
                _write(*record)
            if self._ended and not records:
                return


def _write(age: float, level: str, action: str, message: str, fields: dict[str, Any]) -> None:
    number = _LEVELS[level]
    if not _log.isEnabledFor(number):
        return
    record = _log.makeRecord(
        _log.name, number, "", 0, "%s", (message,), None, extra={"ecs": {**ecs(action)["ecs"], **fields}}
    )
    # When it happened, not when it is written.
    record.created = time.time() - age
    _log.handle(record)
