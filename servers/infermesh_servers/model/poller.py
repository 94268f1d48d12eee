"""Follows a repository's changes."""

import logging
import threading
from collections.abc import Callable

from infermesh.errors import ConfigurationError
from infermesh.logs import ecs

from infermesh_servers.model.manager import Manager

_log = logging.getLogger(__name__)


class Poller:
    """Refreshes a manager every ``seconds`` in a thread of its own, until it is stopped.

    ``changed`` is called in that thread after every refresh that attempted something or found something gone.
    """

    def __init__(self, manager: Manager, seconds: float, changed: Callable[[], None]) -> None:
        self._manager = manager
        self._seconds = seconds
        self._changed = changed
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="repository-poll", daemon=True)

    def start(self) -> None:
        """Start polling; the first refresh is one interval away."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and wait for a refresh that is under way."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            try:
                self._manager.refresh()
            except ConfigurationError as error:
                # A volume that is away for a moment must not take its models with it.
                _log.warning("%s; what is loaded stays in service", error, extra=ecs("repository-unreadable"))
                continue
            self._changed()
