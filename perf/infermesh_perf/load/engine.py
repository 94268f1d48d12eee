"""Who sends: threads of this process, or workers on other machines."""

from __future__ import annotations

from typing import Protocol

from infermesh.proto.infermesh_load_v1 import load_pb2
from infermesh_native import LoadGenerator

from infermesh_perf.errors import RunError, SetupError

CONNECT_SECONDS = 10.0


class Engine(Protocol):
    """A generator with one plan. The order: connect, start, measure, take as often as wanted, stop, take."""

    def connect(self, timeout: float = CONNECT_SECONDS) -> int:
        """Open the connections; how many there are. Raises RunError if the target cannot be reached."""

    def start(self) -> None:
        """Begin to send."""

    def measure(self) -> None:
        """Requests count if they are due from now on, or from a moment later with which a slice begins."""

    def take(self) -> load_pb2.LoadSlice:
        """What happened since the last call. Raises RunError if nobody sends any more."""

    def wait(self, seconds: float) -> bool:
        """Until all requests of a limited number are over; False if that takes longer."""

    def stop(self, drain: float) -> None:
        """Send no more and follow what is under way for so many seconds at most."""

    def close(self) -> None:
        """End the connections."""


class LocalEngine:
    """Threads of this process, which never enter the interpreter."""

    def __init__(self, plan: load_pb2.LoadPlan) -> None:
        """Raises SetupError for a plan that cannot be carried out."""
        try:
            self._generator: LoadGenerator | None = LoadGenerator(plan.SerializeToString())
        except ValueError as error:
            raise SetupError(str(error)) from error

    def connect(self, timeout: float = CONNECT_SECONDS) -> int:
        """As the protocol says."""
        try:
            return self._native.connect(timeout)
        except OSError as error:
            raise RunError(str(error), hint="is the server running, and is this its address?") from error

    def start(self) -> None:
        """As the protocol says."""
        self._native.start()

    def measure(self) -> None:
        """As the protocol says."""
        self._native.measure()

    def take(self) -> load_pb2.LoadSlice:
        """As the protocol says."""
        return load_pb2.LoadSlice.FromString(self._native.take())

    def wait(self, seconds: float) -> bool:
        """As the protocol says."""
        return self._native.wait(seconds)

    def stop(self, drain: float) -> None:
        """As the protocol says."""
        self._native.stop(drain)

    def close(self) -> None:
        """As the protocol says."""
        # Its threads end with the last reference.
        self._generator = None

    @property
    def _native(self) -> LoadGenerator:
        if self._generator is None:
            raise RuntimeError("the generator is closed")
        return self._generator
