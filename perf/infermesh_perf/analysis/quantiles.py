"""How surely a percentile is known: intervals from order statistics, without a guess at the distribution.

The number of `n` independent requests below the true percentile `q` is binomial. So the true percentile lies
between the two order statistics whose ranks cut the tails off that distribution (David and Nagaraja, Order
Statistics, 2003, section 7.1). Requests of a server come in bursts, which makes every such interval a little
too narrow: it tells how far the figure could be off for want of requests, and not how far another run would
be.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from infermesh_native import Histogram

from infermesh_perf.analysis.histograms import Ranks

#: Points of a plot for each nine of a percentile.
PER_NINE = 10


@dataclass(frozen=True)
class Interval:
    """A percentile with the interval that covers the true one. None: too few requests for an end there."""

    percentile: float
    value_ns: int
    low_ns: int | None
    high_ns: int | None


def interval(histogram: Histogram, percentile: float, confidence: float = 0.95) -> Interval:
    """The two-sided interval of one percentile, above 0 and below 100. Raises ValueError for other ones."""
    return bands(histogram, [percentile], confidence)[0]


def bands(histogram: Histogram, percentiles: Iterable[float], confidence: float = 0.95) -> list[Interval]:
    """One interval for each percentile, each with the confidence for itself and not for all at once.

    Raises ValueError for a percentile that is not between 0 and 100.
    """
    ranks = Ranks(histogram)
    return [_interval(histogram, ranks, percentile, confidence) for percentile in percentiles]


def plot_percentiles(count: int) -> list[float]:
    """Percentiles for a logarithmic axis, on which 90, 99 and 99.9 are evenly apart, for so many requests."""
    if count < 2:
        return []
    steps = math.floor(PER_NINE * math.log10(count))
    return [100 * (1 - 10 ** (-step / PER_NINE)) for step in range(1, steps + 1)]


def _interval(histogram: Histogram, ranks: Ranks, percentile: float, confidence: float) -> Interval:
    if not 0 < percentile < 100:
        raise ValueError(f"percentile {percentile:g}, expected one between 0 and 100")
    count, below, tail = ranks.count, percentile / 100, (1 - confidence) / 2
    # Here, because importing it takes a second that most commands need not spend.
    from scipy import stats

    # The true percentile is under the value of rank r if fewer than r requests are: the lower end is the
    # highest rank for which that is unlikely, the upper end the lowest rank for which the opposite is.
    low = int(stats.binom.ppf(tail, count, below))
    high = int(stats.binom.ppf(1 - tail, count, below)) + 1
    return Interval(
        percentile,
        histogram.percentile(percentile),
        ranks[low] if low >= 1 else None,
        ranks[high] if high <= count else None,
    )
