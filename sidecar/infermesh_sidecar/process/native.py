"""The part of ``infermesh_native.Proxy`` that the process calls; see there."""

from collections.abc import Sequence
from typing import Protocol

from infermesh.telemetry.native_log import Record


class Hook(Protocol):
    """A request that waits for a function."""

    @property
    def call(self) -> bytes | None:
        """What the function is called with, in JSON; None once it was answered."""

    @property
    def wanted(self) -> bool:
        """Whether a request still waits for it."""

    def reply(self, reply: bytes) -> None:
        """What it returned, in JSON."""


class Proxy(Protocol):
    """A sidecar's data plane."""

    def listen(self) -> dict[str, str]:
        """Bind all listeners; their addresses by name."""

    def listen_admin(self, host: str, port: int) -> tuple[str, int]:
        """Bind the admin endpoint."""

    def set_ready(self, ready: bool) -> None:
        """Say whether requests should come."""

    def set_page(
        self, headers: list[tuple[str, str]], files: list[tuple[str, str, list[tuple[str, str]]]]
    ) -> None:
        """What browsers find at the admin endpoint."""

    def picture_wanted(self) -> bool:
        """Whether it is time for ``show_picture``."""

    def show_picture(self, json: bytes) -> None:
        """Show it to all who look."""

    def stats(self) -> str:
        """What ``GET /stats`` answers."""

    def metrics(self) -> str:
        """What ``GET /metrics`` answers."""

    def drain_requested(self) -> bool:
        """Whether somebody asked for the end at the admin endpoint."""

    def set_endpoints(self, cluster: str, endpoints: list[str]) -> None:
        """Replace the endpoints of a cluster."""

    def set_access_log(self, wanted: bool) -> None:
        """Whether every request gets a record in the log."""

    def take_log(self, timeout: float) -> list[Record]:
        """The next records; empty if there is none within so many seconds."""

    def flush_log(self) -> None:
        """From now on ``take_log`` never waits."""

    def start_traces(
        self, rate: float, resource: Sequence[tuple[str, str]], queue: int, batch: int, delay: float
    ) -> None:
        """Record this share of the traces that begin here."""

    def take_spans(self, timeout: float) -> tuple[int, bytes] | None:
        """The next spans; None if there are none within so many seconds."""

    def lose_spans(self, count: int) -> None:
        """Count spans that could not be sent."""

    def flush_spans(self) -> None:
        """From now on ``take_spans`` never waits."""

    def take_captures(self, timeout: float) -> list[bytes]:
        """The next copies of requests; empty if there is none within so many seconds."""

    def flush_captures(self) -> None:
        """From now on ``take_captures`` never waits."""

    def take_hooks(self, timeout: float) -> Sequence[Hook]:
        """The next requests that wait for functions; likewise."""

    def drain(self, timeout: float) -> bool:
        """Finish accepted requests, close everything; False if that took longer."""
