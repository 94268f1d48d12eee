"""What counters of one process grew by in the last seconds, also when the process was another one before."""

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from infermesh.overview.exposition import Samples, Series
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
        self._last: tuple[float, Samples] | None = None
        self._steps: deque[tuple[float, Grown]] = deque()

    def add(self, at: float, samples: Samples) -> None:
        """Take a reading; `at` is monotonic, in seconds."""
        if self._last is not None:
            before_at, before = self._last
            self._steps.append((at, Grown(at - before_at, _growth(before, samples))))
        self._last = at, samples

    def over_window(self, now: float) -> Grown:
        """The growth in the last ten seconds."""
        while self._steps and self._steps[0][0] <= now - WINDOW_SECONDS:
            self._steps.popleft()
        seconds = 0.0
        by: dict[Series, float] = {}
        for _, step in self._steps:
            seconds += step.seconds
            for series, value in step.by.items():
                by[series] = by.get(series, 0.0) + value
        return Grown(seconds, by)


def _growth(before: Samples, now: Samples) -> Samples:
    is_another = before.get((STARTED, ())) != now.get((STARTED, ()))
    grown = {}
    for series, value in now.items():
        last = 0.0 if is_another else before.get(series, 0.0)
        # A counter that fell has begun anew, too.
        grown[series] = value - last if value >= last else value
    return grown
