"""Histograms asked for single requests in the order of their latency."""

from __future__ import annotations

import base64
from bisect import bisect_left
from itertools import accumulate

from infermesh_native import Histogram

from infermesh_perf.results.document import Distribution


def decode(distribution: Distribution) -> Histogram:
    """The histogram of a result. Raises ValueError if its text holds none."""
    return Histogram.decode(base64.b64decode(distribution.encoded, validate=True))


class Ranks:
    """The values of a histogram by their place, from the lowest: 1 to `count`."""

    def __init__(self, histogram: Histogram) -> None:
        steps = histogram.steps()
        self._values = [value for value, _ in steps]
        self._up_to = list(accumulate(count for _, count in steps))

    @property
    def count(self) -> int:
        """How many values there are."""
        return self._up_to[-1] if self._up_to else 0

    def __getitem__(self, rank: int) -> int:
        """In nanoseconds, to the precision of the histogram. Raises IndexError beyond 1 to `count`."""
        if not 1 <= rank <= self.count:
            raise IndexError(f"rank {rank} of {self.count}")
        return self._values[bisect_left(self._up_to, rank)]
