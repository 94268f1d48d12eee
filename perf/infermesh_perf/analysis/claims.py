"""Limits as claims about shares of requests, and what a level proves of them.

"p99 < 20 ms" claims that at most 1 % of all requests take longer. Counting the requests over the limit proves
such a claim with a binomial bound (`binomial`), which holds for independent requests. Requests of a server
are not independent, so their number is reduced to an effective one first (`blocks`). Several claims are
proven together by sharing the doubt among them (Bonferroni).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from infermesh_perf.analysis import text as texts
from infermesh_perf.analysis.binomial import requests_needed, share_above, upper_bound
from infermesh_perf.analysis.blocks import blocks, effective_share
from infermesh_perf.analysis.histograms import decode
from infermesh_perf.analysis.limits import Limit
from infermesh_perf.analysis.slo import Objective
from infermesh_perf.results.document import Level


@dataclass(frozen=True)
class Claim:
    """A share of requests that a limit allows to be over it, and what was counted."""

    limit: Limit
    #: Of all requests, 0 to 1.
    allowed: float
    requests: int
    over: int
    #: What the requests are worth if their overruns come in bursts; at most `requests`. 0 if that is unknown.
    effective: float
    confidence: float
    proven: bool
    #: About how many requests would prove it if they went on as they did; None where too many are over the
    #: limit.
    needed: int | None

    def __str__(self) -> str:
        """One sentence about what was found."""
        counted = f"{self.over:,} of {self.requests:,} requests over {self.limit}"
        if self.proven:
            return f"{counted}: proven with {texts.share(self.confidence)} confidence"
        if not self.effective:
            return f"{counted}: too few slices of time to tell whether they come in bursts"
        if self.needed is None:
            return f"{counted}, at most {texts.share(self.allowed)} may be"
        needed = f"about {self.needed:,} requests are needed"
        return f"{counted}: {needed} for {texts.share(self.confidence)} confidence"


def claims(objective: Objective, level: Level, confidence: float = 0.99) -> list[Claim]:
    """One claim for each limit that can be counted: upper ones on percentiles and errors.

    A failed request counts as one over every latency limit, unless the objective limits errors by themselves.
    """
    counted = countable(objective)
    each = shared_confidence(confidence, len(counted))
    return [_claim(limit, level, each, failures=objective.implied_errors is not None) for limit in counted]


def countable(objective: Objective) -> list[Limit]:
    """Upper limits on percentiles and on errors, in the order of the objective."""
    # "No errors at all" is no share that any number of requests could prove.
    return [
        limit
        for limit in objective.limits
        if limit.upper and (limit.metric == "percentile" or (limit.metric == "errors" and limit.limit > 0))
    ]


def shared_confidence(confidence: float, count: int) -> float:
    """What each of some claims needs for all of them to hold together with this confidence."""
    return 1 - (1 - confidence) / max(count, 1)


def allowed_share(limit: Limit) -> float:
    """The share of requests, 0 to 1, that a countable limit lets be over it."""
    return limit.limit if limit.percentile is None else share_above(limit.percentile)


def _claim(limit: Limit, level: Level, confidence: float, *, failures: bool) -> Claim:
    if limit.metric == "errors":
        requests, over = level.completed + level.failed, level.failed
        parts = blocks(level.timeline, math.inf, failures=True)
    else:
        histogram = decode(level.latency)
        # To the precision of the histogram, 0.1 %.
        over = histogram.count - histogram.count_up_to(round(limit.limit))
        requests = histogram.count
        if failures:
            requests, over = requests + level.failed, over + level.failed
        parts = blocks(level.timeline, limit.limit, failures=failures)
    allowed = allowed_share(limit)
    worth = effective_share(parts, confidence) if over else 1.0
    proven = upper_bound(requests * worth, over * worth, confidence) <= allowed
    needed = None if proven else _needed(requests, over, worth, allowed, confidence)
    return Claim(limit, allowed, requests, over, requests * worth, confidence, proven, needed)


def _needed(requests: int, over: int, worth: float, allowed: float, confidence: float) -> int | None:
    if over and (over >= allowed * requests or not worth):
        return None
    if not over:
        return requests_needed(allowed, confidence)
    # Requests and overruns grow by the same factor until the bound is low enough.
    factor = 1.0
    while upper_bound(factor * requests * worth, factor * over * worth, confidence) > allowed:
        factor *= 1.1
    return math.ceil(factor * requests)
