"""MLPerf's early stopping: what a run proves about a percentile before it has its full number of queries.

The rules are those of the LoadGen of MLPerf Inference (mlcommons/inference, `loadgen/results.cc` and
`early_stopping.cc`): the binomial bound of `binomial` at a confidence of 0.99, for queries taken as
independent. Its figures are comparable with published ones; `certificate` is the more careful promise.
"""

from __future__ import annotations

from dataclasses import dataclass

from infermesh_native import Histogram

from infermesh_perf.analysis.binomial import overruns_allowed, requests_needed, share_above
from infermesh_perf.analysis.histograms import Ranks

CONFIDENCE = 0.99


@dataclass(frozen=True)
class Stopping:
    """Whether a latency limit is proven (scenario Server)."""

    met: bool
    queries: int
    over: int
    #: How many queries more would be needed if none of them were over the limit; 0 if it is met.
    missing: int


@dataclass(frozen=True)
class Estimate:
    """A percentile that is surely not higher (SingleStream and MultiStream)."""

    percentile: float
    #: None: too few queries.
    value_ns: int | None
    queries: int
    #: How many queries above the estimate were discarded.
    discarded: int
    #: The fewest queries that give an estimate.
    needed: int


def server(queries: int, over: int, percentile: float, confidence: float = CONFIDENCE) -> Stopping:
    """Whether `over` of `queries` prove that the percentile keeps the limit."""
    needed = requests_needed(share_above(percentile), confidence, over)
    return Stopping(queries >= needed, queries, over, max(0, needed - queries))


def estimate(histogram: Histogram, percentile: float, confidence: float = CONFIDENCE) -> Estimate:
    """The latency that a percentile does not exceed with this confidence.

    With `t` the highest number of queries that may be over a limit, it is the `t`-th highest latency: 64
    queries are needed for p90 and 662 for p99, as one is over by definition.
    """
    share = share_above(percentile)
    ranks = Ranks(histogram)
    needed = requests_needed(share, confidence, over=1)
    allowed = overruns_allowed(ranks.count, share, confidence)
    if not allowed:
        return Estimate(percentile, None, ranks.count, 0, needed)
    return Estimate(percentile, ranks[ranks.count - allowed + 1], ranks.count, allowed - 1, needed)
