"""Writes copies of requests and answers, which the data plane has kept, into files."""

import logging

from infermesh.capture.files import CaptureError
from infermesh.capture.writer import CaptureWriter, Rotation
from infermesh.logs import ecs

from infermesh_sidecar.process.launch import Captures
from infermesh_sidecar.process.native import Proxy

_log = logging.getLogger("infermesh.sidecar")

#: How long one look at an empty queue lasts; a copy ends it at once.
_PATIENCE_SECONDS = 0.5


class CaptureFiles:
    """``step`` is to be called again and again, ``close`` at the end, by one thread at a time."""

    def __init__(self, proxy: Proxy, captures: Captures) -> None:
        """Make the folder if need be; raises CaptureError if that cannot be done."""
        rotation = Rotation(captures.max_file_bytes, captures.max_file_age, captures.max_total_bytes)
        self._proxy = proxy
        self._writer = CaptureWriter(captures.directory, rotation)
        self._works = True

    def step(self) -> None:
        """Write what there is, or complete a file that is old enough."""
        self._write(self._proxy.take_captures(_PATIENCE_SECONDS))

    def close(self) -> None:
        """Write what is left, and complete the file."""
        self._proxy.flush_captures()
        while left := self._proxy.take_captures(0):
            self._write(left)
        try:
            self._writer.close()
        except OSError as error:
            _log.warning("Captures cannot be completed: %s", error, extra=ecs("capture-failed"))

    def _write(self, records: list[bytes]) -> None:
        try:
            self._writer.write(records)
        except CaptureError as error:
            # Once: the disk is full for each of them.
            if self._works:
                _log.warning("%s", error, extra=ecs("capture-failed"))
            self._works = False
            return
        if not self._works:
            self._works = True
            _log.info("Captures are written again", extra=ecs("capture-recovered"))
