"""Carries what the data plane keeps of requests and answers into files."""

import logging
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

from infermesh.capture.files import CaptureError
from infermesh.capture.writer import CaptureWriter
from infermesh.logs import ecs

_log = logging.getLogger("infermesh.sidecar")

#: How long one look at an empty queue lasts; records end it at once. So much later than it should may a file
#: be complete that nothing more is written to.
_PATIENCE_SECONDS = 5.0

#: Time for the disk at the end of a ``with`` block.
_STOP_SECONDS = 5.0


class Proxy(Protocol):
    """The part of ``infermesh_native.Proxy`` that has them; see there."""

    def take_captures(self, timeout: float) -> Sequence[bytes]:
        """The next records; empty if there is none within so many seconds."""

    def flush_captures(self) -> None:
        """From now on ``take_captures`` never waits."""


class Capturing:
    """Writes from ``start`` to ``stop``, or within its context.

    It does so on a thread, so a slow disk holds up no request: what comes faster than it is written is
    dropped and counted by the data plane. What the disk does not take is counted here.
    """

    def __init__(self, proxy: Proxy, writer: CaptureWriter) -> None:
        """``writer`` is closed at the end."""
        self._proxy = proxy
        self._writer = writer
        self._ended = False
        #: Records that were lost since the disk took the last; None while it takes them.
        self._lost: int | None = None
        self._thread = threading.Thread(target=self._run, name="captures", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self, seconds: float) -> bool:
        """Write what there is and complete the file; returns whether that was done within so many seconds.

        To be called when requests have ended: what they leave is not looked for later.
        """
        self._ended = True
        self._proxy.flush_captures()
        self._thread.join(seconds)
        if self._thread.is_alive():
            _log.warning(
                "Captures were not written within %g s, the rest is lost",
                seconds,
                extra=ecs("capture-cut-off"),
            )
            return False
        return True

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(_STOP_SECONDS)

    def _run(self) -> None:
        while True:
            # Asked for before there is nothing left: what is put in between is seen in the next turn.
            ended = self._ended
            records = self._proxy.take_captures(_PATIENCE_SECONDS)
            self._write(records)
            if ended and not records:
                break
        try:
            self._writer.close()
        except OSError as error:
            _log.warning("Captures cannot be completed: %s", error, extra=ecs("capture-failed"))

    def _write(self, records: Sequence[bytes]) -> None:
        """Write them, or complete a file that is old enough if there are none."""
        try:
            self._writer.write(records)
        except CaptureError as error:
            self._failed(error, len(records))
            return
        if self._lost is not None and records:
            _log.info(
                "Captures are written again; some of %d records are lost",
                self._lost,
                extra=ecs("capture-recovered", infermesh__capture__lost=self._lost),
            )
            self._lost = None

    def _failed(self, error: CaptureError, count: int) -> None:
        # Once: the disk is as full for the next.
        if self._lost is None:
            _log.warning("%s", error, extra=ecs("capture-failed"))
        self._lost = (self._lost or 0) + count
