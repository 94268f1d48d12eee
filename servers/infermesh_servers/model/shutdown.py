"""How a server process is told to end: the first signal asks, the second insists."""

import queue
import signal
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Shutdown:
    """The request to end, made with SIGTERM or SIGINT."""

    def __init__(self) -> None:
        # A SimpleQueue may be filled from a signal handler; an Event holds a lock that the interrupted
        # thread may have.
        self._received: queue.SimpleQueue[signal.Signals] = queue.SimpleQueue()
        self._requested = False

    def install(self) -> None:
        """Take the signals over; main thread only."""
        for number in SIGNALS:
            signal.signal(number, self._handle)

    @property
    def requested(self) -> bool:
        """Whether a signal has arrived."""
        return self._requested

    def wait(self) -> signal.Signals:
        """Block the main thread until a signal arrives, and return it."""
        return self._received.get()

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        # From here on the kernel ends the process at once: the drain holds the main thread in native code,
        # where a second Python handler would have to wait for just what it is meant to cut short.
        for handled in SIGNALS:
            signal.signal(handled, signal.SIG_DFL)
        self._requested = True
        self._received.put(signal.Signals(number))
