"""One limit of an objective, and whether measured figures keep it."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from infermesh_perf.analysis import text as texts
from infermesh_perf.analysis.histograms import decode
from infermesh_perf.results.document import Level

Metric = Literal["percentile", "mean", "max", "errors", "throughput"]
Comparison = Literal["<", "<=", ">", ">="]

_HOLDS: dict[Comparison, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class Limit:
    """What one figure of a level may be."""

    metric: Metric
    #: Above 0 and below 100 where the metric is a percentile of the latency; None elsewhere.
    percentile: float | None
    comparison: Comparison
    #: Nanoseconds for latency, a share from 0 to 1 for errors, requests per second for throughput.
    limit: float
    #: As it was typed.
    text: str

    @property
    def name(self) -> str:
        """The figure: `p99`, `mean`, `errors`."""
        return self.metric if self.percentile is None else f"p{self.percentile:g}"

    @property
    def upper(self) -> bool:
        """Whether the figure must be below, and not above."""
        return self.comparison in ("<", "<=")

    def __str__(self) -> str:
        """In one spelling, however it was typed: `p99 < 20 ms`."""
        return f"{self.name} {self.comparison} {self.value_text(self.limit)}"

    def value_text(self, value: float) -> str:
        """A value of this figure with its unit."""
        if self.metric == "errors":
            return texts.share(value)
        return texts.rate(value) if self.metric == "throughput" else texts.duration(value)

    def holds(self, found: float) -> bool:
        """Whether a value of this figure keeps the limit."""
        return _HOLDS[self.comparison](found, self.limit)


@dataclass(frozen=True)
class Judgement:
    """One limit and what was found. `found` is None where nothing was answered that could be judged."""

    limit: Limit
    found: float | None
    met: bool

    def __str__(self) -> str:
        """Such as `p99 < 20 ms: 23.1 ms`."""
        return f"{self.limit}: {'no answer' if self.found is None else self.limit.value_text(self.found)}"


def judge(limit: Limit, level: Level) -> Judgement:
    """Holds one limit against a level. Without an answer only throughput can be judged."""
    found = _figure(limit, level)
    return Judgement(limit, found, found is not None and limit.holds(found))


def _figure(limit: Limit, level: Level) -> float | None:
    if limit.metric == "throughput":
        return level.throughput
    if limit.metric == "errors":
        return level.error_share if level.completed + level.failed else None
    if not level.latency.count:
        return None
    if limit.metric == "mean":
        return level.latency.mean_ns
    if limit.metric == "max":
        return level.latency.max_ns
    assert limit.percentile is not None
    known = level.latency.percentiles_ns.get(f"{limit.percentile:g}")
    return known if known is not None else decode(level.latency).percentile(limit.percentile)
