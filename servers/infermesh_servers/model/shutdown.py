"""How a server process is told to end: by a signal, of which the second insists, or by its own failure."""

import queue
import signal
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Shutdown:
    """The request to end, made with SIGTERM or SIGINT, or from within."""

    def __init__(self) -> None:
        # A SimpleQueue may be filled from a signal handler; an Event holds a lock that the interrupted
        # thread may have.
        self._received: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._requested = False
        self._failure: str | None = None

    def install(self) -> None:
        """Take the signals over; main thread only."""
        for number in SIGNALS:
            signal.signal(number, self._handle)

    @property
    def requested(self) -> bool:
        """Whether the process has been told to end."""
        return self._requested

    @property
    def failure(self) -> str | None:
        """Why the process ends by itself, if it does."""
        return self._failure

    def fail(self, why: str) -> None:
        """End the process because it cannot do its work any more; from any thread."""
        self._failure = self._failure or why
        self._requested = True
        self._received.put(why)

    def wait(self) -> str:
        """Block the main thread until it is told to end; return the signal's name, or why."""
        return self._received.get()

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        # From here on the kernel ends the process at once: the drain holds the main thread in native code,
        # where a second Python handler would have to wait for just what it is meant to cut short.
        for handled in SIGNALS:
            signal.signal(handled, signal.SIG_DFL)
        self._requested = True
        self._received.put(signal.Signals(number).name)
