"""Says how far a copy is, if it takes long enough to be wondered about."""

import logging
import threading
import time

from infermesh.logs import ecs

_log = logging.getLogger(__name__)

_FIRST_SECONDS = 1.0
_NEXT_SECONDS = 5.0
_MEGABYTE = 1_000_000


class Progress:
    """Counts bytes from several threads, and logs them now and then."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._due = self._started + _FIRST_SECONDS
        self._expected = 0
        self._copied = 0

    def expect(self, size: int) -> None:
        """So many bytes more are to be copied."""
        with self._lock:
            self._expected += size

    def add(self, size: int) -> None:
        """So many bytes have been copied."""
        with self._lock:
            self._copied += size
            now = time.monotonic()
            if now >= self._due:
                self._due = now + _NEXT_SECONDS
                self._say("Copying", "repository-copying")

    def finish(self) -> None:
        """The copy is over."""
        with self._lock:
            if self._expected:
                self._say("Copied", "repository-copied")

    def _say(self, what: str, action: str) -> None:
        seconds = time.monotonic() - self._started
        _log.info(
            "%s %s: %.1f of %.1f MB after %.1f s",
            what,
            self._source,
            self._copied / _MEGABYTE,
            self._expected / _MEGABYTE,
            seconds,
            extra=ecs(action, event__duration=int(seconds * 1e9), infermesh__repository=self._source),
        )
