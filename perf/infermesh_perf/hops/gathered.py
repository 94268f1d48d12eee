"""What metrics said over the measured time, in bounded memory: means, highest values, growth, series."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from infermesh_perf.hops.exposition import Series, Snapshot, shown

#: Of these a series over time is kept, for each device.
GPU_UTILIZATION = "nv_gpu_utilization"
OVER_TIME = (GPU_UTILIZATION, "nv_gpu_memory_used_bytes", "nv_gpu_power_usage")
#: Every second point goes when a series is longer, and from then on every second one that comes.
MAX_POINTS = 4096
#: More series than that are not followed: labels that change all the time would fill the memory.
MAX_SERIES = 4096


@dataclass(frozen=True)
class Gathered:
    """Metrics of one level. Times are seconds since the measurement began."""

    #: Name, with labels where it has several series, to mean and maximum over the scrapes.
    gauges: dict[str, tuple[float, float]]
    #: By how much counters grew from the first scrape to the last; histograms have `_sum` and `_count`.
    grown: dict[Series, float]
    #: Points in time of what is kept over time.
    points: dict[Series, list[tuple[float, float]]]
    scrapes: int
    failed: int
    #: What did not go well, in sentences.
    remarks: list[str]

    def gpu(self, start: float, seconds: float) -> float | None:
        """Share of the devices that was busy, 0 to 1, the mean of what was seen within this time; or None."""
        values = [
            value
            for (name, _), points in self.points.items()
            if name == GPU_UTILIZATION
            for at, value in points
            if start <= at < start + seconds
        ]
        return sum(values) / len(values) if values else None


@dataclass
class Gauge:
    """One series of values."""

    count: int = 0
    total: float = 0.0
    highest: float = float("-inf")

    def add(self, value: float) -> None:
        """One more."""
        self.count += 1
        self.total += value
        self.highest = max(self.highest, value)


@dataclass
class Points:
    """A series over time that halves itself when it becomes too long."""

    kept: list[tuple[float, float]] = field(default_factory=list)
    _every: int = 1
    _seen: int = 0

    def add(self, at: float, value: float) -> None:
        """One more, if it is its turn."""
        if self._seen % self._every == 0:
            self.kept.append((at, value))
        self._seen += 1
        if len(self.kept) > MAX_POINTS:
            self.kept = self.kept[::2]
            self._every *= 2


class Gathering:
    """Takes one snapshot after the other; only the first and the last are kept as they are."""

    def __init__(self) -> None:
        self._gauges: dict[Series, Gauge] = {}
        self._points: dict[Series, Points] = {}
        self._first: Snapshot | None = None
        self._last = Snapshot()
        self._scrapes = 0
        self._failed = 0
        self._error = ""

    def add(self, at: float, snapshot: Snapshot) -> None:
        """What was read at this time."""
        self._scrapes += 1
        self._first = self._first or snapshot
        self._last = snapshot
        for series, value in snapshot.gauges.items():
            if series not in self._gauges and len(self._gauges) >= MAX_SERIES:
                continue
            self._gauges.setdefault(series, Gauge()).add(value)
            if series[0] in OVER_TIME:
                self._points.setdefault(series, Points()).add(at, value)

    def fail(self, error: str) -> None:
        """Counts a scrape that gave nothing."""
        self._failed += 1
        self._error = error

    def result(self) -> Gathered:
        """Everything until now."""
        first = (self._first or Snapshot()).counters
        # A series that was not there at the beginning began at zero.
        grown = {series: value - first.get(series, 0.0) for series, value in self._last.counters.items()}
        reset = sorted({name for (name, _), by in grown.items() if by < 0})
        series_of = Counter(name for name, _ in self._gauges)
        return Gathered(
            gauges={
                shown(series) if series_of[series[0]] > 1 else series[0]: (it.total / it.count, it.highest)
                for series, it in self._gauges.items()
            },
            grown={series: by for series, by in grown.items() if by >= 0},
            points={series: list(points.kept) for series, points in self._points.items()},
            scrapes=self._scrapes,
            failed=self._failed,
            remarks=self._remarks(reset),
        )

    def _remarks(self, reset: list[str]) -> list[str]:
        remarks = []
        if self._failed:
            tries = self._failed + self._scrapes
            remarks.append(f"{self._failed} of {tries} scrapes failed, the last one: {self._error}")
        if reset:
            shown_names = ", ".join(reset)
            remarks.append(f"counters went backwards, the server was started anew meanwhile: {shown_names}")
        return remarks
