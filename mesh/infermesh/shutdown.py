"""How a server process is told to end: by a signal, of which the second insists, or from within."""

import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Self

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Shutdown:
    """The request to end, made with SIGTERM or SIGINT, or from within."""

    def __init__(self) -> None:
        # The interpreter writes to the one end when a signal comes, on whatever thread the system chose for
        # it, and the main thread sleeps on the other. With a lock to sleep on, a signal that comes just
        # before the sleep is noted, and its handler waits for the sleeper to wake up.
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        self._reason = ""
        self._failure: str | None = None
        #: Who is given the signals after the first; without it, the next one ends the process at once.
        self.pass_on: Callable[[int], None] | None = None

    def __enter__(self) -> Self:
        """Take the signals over; main thread only."""
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, self._handle)
        return self

    def __exit__(self, *error: object) -> None:
        """Wake nobody up any more."""
        signal.set_wakeup_fd(-1)
        self._reader.close()
        self._writer.close()

    @property
    def requested(self) -> bool:
        """Whether the process has been told to end."""
        return bool(self._reason)

    @property
    def failure(self) -> str | None:
        """Why the process ends by itself, if it does."""
        return self._failure

    def request(self, why: str) -> None:
        """End the process in order; from any thread."""
        self._reason = self._reason or why
        with suppress(OSError):  # Full, it will wake up all the same; closed, it is ending already.
            self._writer.send(b"\0")

    def fail(self, why: str) -> None:
        """End the process because it cannot do its work any more; from any thread."""
        self._failure = self._failure or why
        self.request(why)

    def wait(self, seconds: float | None = None) -> str:
        """Block the main thread until it is told to end; return the signal's name, or why.

        After so many seconds, an empty string.
        """
        end = None if seconds is None else time.monotonic() + seconds
        while not self._reason and (end is None or time.monotonic() < end):
            # Never 0, which would be not to wait at all.
            self._reader.settimeout(None if end is None else max(end - time.monotonic(), 0.001))
            with suppress(TimeoutError):
                self._reader.recv(64)
        return self._reason

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.pass_on is None:
            # From here on the kernel ends the process at once: the drain holds the main thread in native
            # code, where a second Python handler would have to wait for just what it is meant to cut short.
            for handled in SIGNALS:
                signal.signal(handled, signal.SIG_DFL)
        elif self._reason:
            self.pass_on(number)
        self._reason = self._reason or signal.Signals(number).name
