"""What counters of one process grew by in the last seconds, also when the process was another one before."""

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from infermesh.overview.exposition import Samples
from infermesh.overview.quantiles import Buckets

WINDOW_SECONDS = 10.0

#: When the process began: another one has counted anew.
STARTED = "process_start_time_seconds"


@dataclass(frozen=True)
class Grown:
    """What counters grew by, and in how many seconds; 0: it was not read twice."""

    seconds: float = 0.0
    by: Samples = field(default_factory=dict)

    def matching(self, name: str, labels: Mapping[str, str]) -> Sequence[tuple[Mapping[str, str], float]]:
        """Labels and growth of each series of a name that has these labels among its own."""
        least: Sequence[tuple[Mapping[str, str], float]] = min(
            (self._series.get((name, *pair), ()) for pair in labels.items()), key=len
        )
        return [(found, value) for found, value in least if labels.items() <= found.items()]

    @cached_property
    def _series(self) -> Mapping[tuple[str, str, str], Sequence[tuple[Mapping[str, str], float]]]:
        """By name and each label: a server may have a thousand models, each of which is looked for."""
        found = defaultdict(list)
        for (name, pairs), value in self.by.items():
            labels = dict(pairs)
            for pair in pairs:
                found[(name, *pair)].append((labels, value))
        return found

    def total(self, name: str, **labels: str) -> float:
        """The growth of all these together."""
        return sum(value for _, value in self.matching(name, labels))

    def rate(self, count: float) -> float | None:
        """So many, per second."""
        return count / self.seconds if self.seconds > 0 else None

    def histogram(self, name: str, **labels: str) -> Buckets:
        """The growth of a histogram, or of several with the same bounds: cumulative counts by upper bound."""
        found: dict[float, float] = {}
        for of_series, value in self.matching(f"{name}_bucket", labels):
            bound = float(of_series["le"])
            found[bound] = found.get(bound, 0.0) + value
        return found


class Increases:
    """Readings of one process, one after another."""

    def __init__(self) -> None:
        self._last: Samples = {}
        #: When it was read, and what all has grown by since the first time.
        self._readings: deque[tuple[float, Samples]] = deque()

    def add(self, at: float, samples: Samples) -> None:
        """Take a reading; `at` is monotonic, in seconds."""
        if self._readings:
            totals = dict(self._readings[-1][1])
            is_another = self._last.get((STARTED, ())) != samples.get((STARTED, ()))
            for series, value in samples.items():
                before = 0.0 if is_another else self._last.get(series, 0.0)
                # A counter that fell has begun anew, too.
                grown = value - before if value >= before else value
                totals[series] = totals.get(series, 0.0) + grown
        else:
            totals = {}
        self._readings.append((at, totals))
        self._last = samples

    def over_window(self, now: float) -> Grown:
        """The growth in the last ten seconds; nothing, if it was not read in them."""
        begin = now - WINDOW_SECONDS
        while len(self._readings) > 1 and self._readings[1][0] <= begin:
            self._readings.popleft()
        if len(self._readings) < 2:
            return Grown()
        (first, before), (last, totals) = self._readings[0], self._readings[-1]
        return Grown(
            last - first, {series: value - before.get(series, 0.0) for series, value in totals.items()}
        )
