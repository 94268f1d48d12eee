"""How much a burst of slow requests counts: the effective number of requests in blocks of time.

A server is slow for a while: requests after each other share their fate, so a thousand of them know less than
a thousand independent ones. As in surveys that ask whole households, the measurement is cut into blocks, and
the spread of overruns over the blocks is compared with what independent requests would show (Kish 1965, the
design effect). The number of requests is divided by it, and reduced further for being an estimate from few
blocks (Korn and Graubard 1998, "Confidence intervals for proportions with small expected number of positive
counts estimated from survey data"). Blocks see bursts that are shorter than a block, and cannot see what one
run is spared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from infermesh_perf.results.document import Moment

#: Long enough to hold a burst, and enough of them to tell how they differ.
BLOCKS = 20


@dataclass(frozen=True)
class Block:
    """Requests that ended within one block, and those of them over the limit."""

    requests: int
    over: int


def blocks(timeline: Sequence[Moment], limit_ns: float, *, failures: bool) -> list[Block]:
    """Overruns of a latency limit (`math.inf`: none) over time, and failures too if they count as overruns.

    The timeline knows latency in steps of 19 %: all of the step that holds the limit counts as over it.
    Neighbours are joined until at most `BLOCKS` are left.
    """
    step = math.inf if math.isinf(limit_ns) else math.floor(4 * math.log2(max(limit_ns, 1) / 1000))
    found = []
    for moment in timeline:
        over = sum(count for bucket, count in moment.heat.items() if bucket >= step)
        failed = moment.failed if failures else 0
        found.append(Block(moment.completed + failed, over + failed))
    size = max(1, math.ceil(len(found) / BLOCKS))
    parts = (found[place : place + size] for place in range(0, len(found), size))
    return [Block(sum(block.requests for block in part), sum(block.over for block in part)) for part in parts]


def effective_share(parts: Sequence[Block], confidence: float) -> float:
    """By what to multiply a number of requests, and their overruns: above 0 and at most 1.

    1 if nothing is over the limit, for then nothing shows whether it would come in bursts; 0 if it cannot be
    known because fewer than two blocks have requests.
    """
    used = [block for block in parts if block.requests]
    requests = np.array([block.requests for block in used], dtype=float)
    over = np.array([block.over for block in used], dtype=float)
    if len(used) < 2:
        return 0.0
    share = over.sum() / requests.sum()
    if share in (0.0, 1.0):
        return 1.0
    # The variance of a ratio of sums over blocks (Cochran, Sampling Techniques, 1977, section 6.3).
    variance = (
        float(((over - share * requests) ** 2).sum()) * len(used) / (len(used) - 1) / requests.sum() ** 2
    )
    effect = variance / (share * (1 - share) / requests.sum())
    if effect <= 1:
        return 1.0
    doubt = (special.ndtri(confidence) / special.stdtrit(len(used) - 1, confidence)) ** 2
    return float(doubt / effect)
