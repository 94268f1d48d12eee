"""What a run can promise about later requests, and how surely.

The promise is about this server in the state, on the machine and under the requests of this run. A
disturbance that comes more seldom than once in a run is not in it; only repeated runs can show that.
"""

from __future__ import annotations

from infermesh_perf.analysis import text as texts
from infermesh_perf.analysis.binomial import requests_needed
from infermesh_perf.analysis.claims import allowed_share, claims, countable, shared_confidence
from infermesh_perf.analysis.limits import Limit
from infermesh_perf.analysis.slo import Objective
from infermesh_perf.results.document import Certificate, Level

#: With room for so many overruns, a server that has half of those allowed is certified nine times out of ten.
ROOM = 30
#: Below its capacity a server fails hardly ever: room for more would only make every run longer.
ROOM_FOR_ERRORS = 2


def requests_to_certify(objective: Objective, confidence: float = 0.99) -> int:
    """How many requests to send for a certificate: enough to forgive half of the overruns that are allowed.

    0 if the objective has nothing that can be counted.
    """
    counted = countable(objective)
    each = shared_confidence(confidence, len(counted))
    return max((requests_needed(allowed_share(limit), each, _room(limit)) for limit in counted), default=0)


def certificate(objective: Objective, level: Level, confidence: float = 0.99) -> Certificate | None:
    """The promise of a level that meets its objective; None if a claim is not proven, or none can be counted.

    The confidence is that of this level's run alone. A search that confirms several loads one after the other
    has had several chances to be wrong.
    """
    proven = claims(objective, level, confidence)
    if not proven or not all(claim.proven for claim in proven):
        return None
    if not all(judgement.met for judgement in objective.judge(level)):
        return None
    nearest = max(proven, key=lambda claim: claim.over / claim.requests / claim.allowed)
    by_rate = level.load.mode == "rate"
    rate = level.load.value if by_rate else level.throughput
    load = texts.rate(rate) if by_rate else f"{level.load} ({texts.rate(rate)})"
    limits = ", ".join(str(claim.limit) for claim in proven)
    return Certificate(
        objective=objective.text,
        rate=rate,
        confidence=confidence,
        requests=nearest.requests,
        over=nearest.over,
        sentence=f"max {load}, {limits}, {texts.share(confidence)} confidence",
    )


def _room(limit: Limit) -> int:
    return ROOM if limit.metric == "percentile" else ROOM_FOR_ERRORS
