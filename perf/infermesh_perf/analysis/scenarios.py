"""The scenarios of MLPerf Inference: what is sent, what a run must have to count, and what is reported.

Durations, percentiles and numbers are those of its LoadGen (`loadgen/mlperf.conf`), where a scenario has
them; a run here is no MLPerf result, which also asks for prescribed models, accuracy and a review.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Name = Literal["SingleStream", "MultiStream", "Server", "Offline"]


@dataclass(frozen=True)
class Rules:
    """What one scenario asks for."""

    name: Name
    #: How requests follow each other, for people.
    sends: str
    #: What is reported, for people.
    reports: str
    #: That is estimated or limited; None where throughput is reported.
    percentile: float | None
    #: Samples in one query.
    samples_per_query: int
    minimum_queries: int
    minimum_seconds: float = 600.0
    #: Only Server has one: what the percentile may be.
    target_ns: int | None = None


_ALL = (
    Rules(
        "SingleStream",
        "one query of one sample at a time",
        "90th percentile of the latency",
        percentile=90,
        samples_per_query=1,
        minimum_queries=64,
    ),
    Rules(
        "MultiStream",
        "one query of eight samples at a time",
        "99th percentile of the latency of a query",
        percentile=99,
        samples_per_query=8,
        minimum_queries=662,
    ),
    Rules(
        "Server",
        "queries of one sample at random moments (Poisson) at a wanted rate",
        "the rate, if the 99th percentile of the latency keeps its target",
        percentile=99,
        samples_per_query=1,
        minimum_queries=459,
        target_ns=10_000_000,
    ),
    Rules(
        "Offline",
        "all samples at once",
        "samples per second",
        percentile=None,
        samples_per_query=1,
        minimum_queries=24_576,
    ),
)

#: By name. `dataclasses.replace` changes duration, numbers and the target.
SCENARIOS: Mapping[Name, Rules] = MappingProxyType({rules.name: rules for rules in _ALL})
