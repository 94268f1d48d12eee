"""Quantiles of histograms, as Prometheus estimates them."""

import math
from collections.abc import Iterable, Mapping

#: Cumulative counts by upper bound, infinity among them.
Buckets = Mapping[float, float]


def merged(histograms: Iterable[Buckets]) -> Buckets:
    """Several with the same bounds as one."""
    found: dict[float, float] = {}
    for histogram in histograms:
        for bound, count in histogram.items():
            found[bound] = found.get(bound, 0.0) + count
    return found


def quantile(histogram: Buckets, share: float) -> float | None:
    """The value that a share is not above; None if nothing was counted."""
    counts = sorted(histogram.items())
    if not counts or counts[-1][1] <= 0:
        return None
    rank = share * counts[-1][1]
    below, lower = 0.0, 0.0
    for bound, count in counts:
        if count >= rank:
            if math.isinf(bound) or count <= below:
                return lower
            return lower + (bound - lower) * (rank - below) / (count - below)
        below, lower = count, bound
    return lower
