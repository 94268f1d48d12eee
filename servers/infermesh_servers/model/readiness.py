"""Whether the process is ready, said to the server and to the log."""

import logging
import threading
from collections.abc import Sequence
from typing import Protocol

from infermesh.logs import ecs

from infermesh_servers.model.manager import Manager

_log = logging.getLogger(__name__)


class Server(Protocol):
    """The part of ``infermesh_native.Server`` that answers ServerReady and the health service."""

    def set_ready(self, ready: bool) -> None:
        """Answer this from now on."""


class Readiness:
    """Tells the server, and whoever reads the log, whether it is ready; says so only when that changes."""

    def __init__(self, server: Server, manager: Manager, listeners: Sequence[str], *, strict: bool) -> None:
        self._server = server
        self._manager = manager
        self._listeners = ", ".join(listeners)
        self._strict = strict
        self._last: bool | None = None
        self._started = False
        self._lock = threading.Lock()

    def start(self) -> None:
        """The first load is over: from now on readiness is what is loaded."""
        self._started = True
        self.update()

    def update(self) -> None:
        """Compare with what is loaded now; called from whichever thread changed it."""
        with self._lock:
            if self._started:
                self._compare()

    def break_off(self) -> None:
        """Stop being ready now, whatever else holds what is loaded; ``update`` has the last word."""
        if self._strict:
            self._server.set_ready(False)

    def _compare(self) -> None:
        ready = not self._strict or self._manager.all_ready()
        if ready == self._last:
            return
        self._last = ready
        self._server.set_ready(ready)
        if ready:
            _log.info("Ready on %s", self._listeners, extra=ecs("server-ready"))
            return
        _log.warning(
            "Serving on %s, but not ready: %d of %d model versions cannot be loaded "
            "(--no-strict-readiness reports ready all the same)",
            self._listeners,
            len(self._manager.missing()),
            len(self._manager.outcomes()),
            extra=ecs("server-not-ready"),
        )
