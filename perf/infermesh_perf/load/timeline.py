"""What happened when: one moment for each slice, joined where there would be too many."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from infermesh.proto.infermesh_load_v1 import load_pb2
from infermesh_native import Histogram

from infermesh_perf.results.document import Moment

#: More would make the file large and the picture no better.
MOST = 600
STEPS_PER_DOUBLING = 4


@dataclass
class _Part:
    start: float
    seconds: float
    completed: int
    failed: int
    outstanding: int
    latency: Histogram


class Timeline:
    """Takes slices in their order."""

    def __init__(self) -> None:
        self._parts: list[_Part] = []
        self._origin: float | None = None
        #: Slices to a moment: doubles whenever there are too many.
        self._stride = 1
        self._count = 0

    def add(self, slice_: load_pb2.LoadSlice) -> None:
        """The next slice."""
        start = slice_.start_ns / 1e9
        if self._origin is None:
            self._origin = start
        part = _Part(
            start=start - self._origin,
            seconds=(slice_.end_ns - slice_.start_ns) / 1e9,
            completed=sum(each.completed for each in slice_.workloads),
            failed=sum(error.count for each in slice_.workloads for error in each.errors),
            outstanding=slice_.outstanding,
            latency=Histogram(),
        )
        for each in slice_.workloads:
            part.latency.merge(Histogram.decode(each.latency))
        if self._count % self._stride and self._parts:
            _join(self._parts[-1], part)
        else:
            self._parts.append(part)
        self._count += 1
        if len(self._parts) > MOST:
            for earlier, later in zip(self._parts[::2], self._parts[1::2], strict=False):
                _join(earlier, later)
            self._parts = self._parts[::2]
            self._stride *= 2

    def moments(self, gpu: Callable[[float, float], float | None] = lambda *_: None) -> list[Moment]:
        """All of them; `gpu` tells the share of the device that was busy from a start for some seconds."""
        return [
            Moment(
                start_seconds=part.start,
                seconds=part.seconds,
                completed=part.completed,
                failed=part.failed,
                outstanding=part.outstanding,
                p50_ns=part.latency.percentile(50),
                p99_ns=part.latency.percentile(99),
                heat=heat(part.latency),
                gpu=gpu(part.start, part.seconds),
            )
            for part in self._parts
        ]


def heat(latency: Histogram) -> dict[int, int]:
    """Counts by `floor(4 * log2(microseconds))`; what is below a microsecond is in the lowest."""
    counts: dict[int, int] = {}
    for value, count in latency.steps():
        step = math.floor(STEPS_PER_DOUBLING * math.log2(max(value / 1e3, 1.0)))
        counts[step] = counts.get(step, 0) + count
    return counts


def _join(earlier: _Part, later: _Part) -> None:
    earlier.seconds += later.seconds
    earlier.completed += later.completed
    earlier.failed += later.failed
    earlier.outstanding = max(earlier.outstanding, later.outstanding)
    earlier.latency.merge(later.latency)
