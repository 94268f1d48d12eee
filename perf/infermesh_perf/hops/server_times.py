"""What a server says about its own share of a request, from whichever source."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Source = Literal["ModelStatistics", "Prometheus", "traces"]


@dataclass(frozen=True)
class ServerTimes:
    """Means over `requests` successful ones, in nanoseconds per request.

    `total_ns` is from the request's arrival to its answer. The stages are what a request spent there in the
    mean, so that they add up to no more than the total unless steps of an ensemble run beside each other.
    """

    source: Source
    requests: int
    total_ns: float
    queue_ns: float
    input_ns: float
    compute_ns: float
    output_ns: float

    @property
    def stages_ns(self) -> float:
        """All stages together."""
        return self.queue_ns + self.input_ns + self.compute_ns + self.output_ns


def mean_times(parts: Iterable[ServerTimes]) -> ServerTimes | None:
    """One mean over several models, by their requests; None without any request.

    Raises ValueError for parts of different sources.
    """
    known = [part for part in parts if part.requests]
    if not known:
        return None
    if len({part.source for part in known}) > 1:
        raise ValueError("times of different sources have no mean")
    requests = sum(part.requests for part in known)

    def mean(stage: str) -> float:
        total: float = sum(getattr(part, stage) * part.requests for part in known)
        return total / requests

    stages = ("total_ns", "queue_ns", "input_ns", "compute_ns", "output_ns")
    return ServerTimes(known[0].source, requests, *map(mean, stages))
