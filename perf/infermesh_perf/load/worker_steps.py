"""What a coordinator says to a worker, step by step, with a limit to every wait."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from itertools import islice
from typing import Literal

import grpc
from infermesh.proto.infermesh_load_v1 import load_pb2

Kind = Literal["plan", "begin", "measure", "stop"]
#: A run has no more than one of each.
MOST = 4


class EndedError(Exception):
    """The run is over before its time; what is not empty can still be said to the coordinator."""


class RefusedError(Exception):
    """The run cannot begin or go on; `plan` is whether the plan is at fault."""

    def __init__(self, message: str, *, plan: bool = False) -> None:
        super().__init__(message)
        self.plan = plan


class Steps:
    """Reads the coordinator's messages in a thread of its own, which ends with the call."""

    def __init__(self, requests: Iterator[load_pb2.GenerateRequest]) -> None:
        self._queue: queue.SimpleQueue[load_pb2.GenerateRequest | EndedError] = queue.SimpleQueue()
        self._ended: EndedError | None = None
        threading.Thread(target=self._read, args=(requests,), name="steps", daemon=True).start()

    def end(self, message: str = "") -> None:
        """Wakes whoever waits for a step: there is none any more."""
        self._queue.put(EndedError(message))

    def next(self, seconds: float) -> load_pb2.GenerateRequest | None:
        """The next step; None if none comes in time. Raises EndedError, from then on always."""
        if self._ended is not None:
            raise self._ended
        try:
            found = self._queue.get(timeout=seconds) if seconds > 0 else self._queue.get_nowait()
        except queue.Empty:
            return None
        if isinstance(found, EndedError):
            self._ended = found
            raise found
        return found

    def expect(self, kind: Kind, seconds: float) -> load_pb2.GenerateRequest:
        """The next step, of this kind. Raises EndedError, and RefusedError for another or none in time."""
        found = self.next(seconds)
        if found is None:
            raise RefusedError(f"expected {kind} within {seconds:.0f} s, found nothing")
        if found.WhichOneof("step") != kind:
            raise RefusedError(f"expected {kind}, found {found.WhichOneof('step') or 'an empty message'}")
        return found

    def _read(self, requests: Iterator[load_pb2.GenerateRequest]) -> None:
        try:
            count = 0
            for request in islice(requests, MOST):
                count += 1
                self._queue.put(request)
            if count == MOST:
                # What it says now does not matter; that it went away, the call itself tells.
                return
        except grpc.RpcError:
            # It went away.
            pass
        self.end()
