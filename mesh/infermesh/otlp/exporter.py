"""Sends what a source hands out, in a thread of its own. Nobody waits for a collector that is away."""

import logging
import random
import threading
import time
import typing
from collections.abc import Callable

from infermesh.logs import ecs
from infermesh.otlp.senders import Send, SendError

_log = logging.getLogger(__name__)

#: How long one look at an empty source lasts; a batch ends it at once.
_PATIENCE_SECONDS = 60.0
#: Pauses before another attempt with the same message.
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0
#: A message that no attempt within this time could deliver is lost.
_GIVE_UP_SECONDS = 30.0


class Source(typing.Protocol):
    """Holds spans until they are sent, in bounded memory."""

    def take_spans(self, timeout: float) -> tuple[int, bytes] | None:
        """The next message and how many spans are in it; None if there is none within ``timeout`` seconds."""

    def lose_spans(self, count: int) -> None:
        """Count spans that were taken and could not be sent."""

    def flush_spans(self) -> None:
        """From now on ``take_spans`` never waits."""


class Exporter:
    """Sends from ``start`` to ``stop``. The way to the collector is made when there is something to send."""

    def __init__(self, source: Source, connect: Callable[[], Send], timeout_seconds: float) -> None:
        """``timeout_seconds`` is how long one attempt may take."""
        self._source = source
        self._connect = connect
        self._timeout = timeout_seconds
        self._send: Send | None = None
        self._reachable = True
        self._stopped = threading.Event()
        self._end = float("inf")
        self._thread = threading.Thread(target=self._run, name="otlp-export", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Send what is left and return, after ``seconds`` at the latest."""
        self._end = time.monotonic() + seconds
        self._stopped.set()
        self._source.flush_spans()
        self._thread.join(seconds)

    def _run(self) -> None:
        while True:
            batch = self._source.take_spans(_PATIENCE_SECONDS)
            if batch is not None:
                self._deliver(*batch)
            elif self._stopped.is_set():
                return

    def _deliver(self, count: int, message: bytes) -> None:
        pause = _FIRST_PAUSE_SECONDS
        give_up = time.monotonic() + _GIVE_UP_SECONDS
        while (left := min(give_up, self._end) - time.monotonic()) > 0:
            try:
                self._attempt(message, min(self._timeout, left))
            except SendError as error:
                self._failed(error)
                if not error.retryable:
                    break
                # Not all senders at once when a collector is back.
                self._pause(min(pause * random.uniform(0.8, 1.2), left))
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            else:
                self._delivered()
                return
        self._source.lose_spans(count)

    def _attempt(self, message: bytes, timeout: float) -> None:
        if self._send is None:
            try:
                self._send = self._connect()
            except Exception as error:
                raise SendError(f"cannot connect: {error}", retryable=False) from error
        self._send(message, timeout)

    def _pause(self, seconds: float) -> None:
        if self._stopped.is_set():
            # The event is no clock any more.
            time.sleep(max(0.0, min(seconds, self._end - time.monotonic())))
        else:
            self._stopped.wait(seconds)

    def _failed(self, error: SendError) -> None:
        if self._reachable:
            self._reachable = False
            _log.warning("Traces cannot be sent: %s", error, extra=ecs("trace-export-failed"))

    def _delivered(self) -> None:
        if not self._reachable:
            self._reachable = True
            _log.info("Traces are sent again", extra=ecs("trace-export-recovered"))
