"""What is done about a model that fails for good while it is served, such as when its device does."""

import logging
from typing import Protocol

from infermesh.logs import ecs

from infermesh_servers.model.manager import Manager
from infermesh_servers.model.readiness import Readiness

_log = logging.getLogger(__name__)


class Shutdown(Protocol):
    """The part of a process's end that a breakdown may ask for."""

    def fail(self, why: str) -> None:
        """End in order, and with a failure."""


class Breakdowns:
    """Called by the data plane, in a thread of its own; the version refuses requests by then."""

    def __init__(self, manager: Manager, readiness: Readiness, shutdown: Shutdown | None) -> None:
        """``shutdown`` is told to end the process; None keeps it, to serve what still works."""
        self._manager = manager
        self._readiness = readiness
        self._shutdown = shutdown

    def __call__(self, name: str, version: int, reason: str) -> None:
        """Log it, stop being ready, list the version with its reason."""
        _log.error(
            "%s version %d has failed and is out of service: %s",
            name,
            version,
            reason,
            extra=ecs(
                "model-failed",
                event__outcome="failure",
                error__message=reason,
                infermesh__model__name=name,
                infermesh__model__version=version,
            ),
        )
        # At once: the manager may be busy for as long as another model takes to load.
        self._readiness.break_off()
        if self._shutdown is not None:
            self._shutdown.fail(f"{name} version {version} has failed: {reason}")
        self._manager.fail(name, version, reason)
        self._readiness.update()
