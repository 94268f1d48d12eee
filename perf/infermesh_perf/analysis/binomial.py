"""How surely a share of requests is small enough, if requests exceed a limit independently of each other.

Whether a request exceeds its limit is a coin that falls on the wrong side with an unknown probability. Having
seen `over` of `requests` fall there, the probability is claimed to be at most `share` if that few would be
seen with a probability of at most `1 - confidence` were it any higher. The bound is exact (Clopper and
Pearson 1934); `certificate` deals with requests that are not independent.
"""

from __future__ import annotations

import math

from scipy import special


def share_above(percentile: float) -> float:
    """The share of requests that may exceed a percentile (0 to 100): 0.01 for 99."""
    # Rounded: 100 - 99.9 is not quite 0.1.
    return round((100 - percentile) / 100, 12)


def upper_bound(requests: float, over: float, confidence: float) -> float:
    """The highest share of overruns (0 to 1) that `over` of `requests` leave believable; 1 without requests.

    Effective numbers of requests need not be whole.
    """
    return 1.0 if over >= requests else float(special.betaincinv(over + 1, requests - over, confidence))


def requests_needed(share: float, confidence: float, over: int = 0) -> int:
    """The fewest requests, of which `over` exceed the limit, that prove a share of at most `share`.

    459 for a share of 0.01 at a confidence of 0.99 without overruns.
    """
    low, high = over, max(over, 1)
    while not _proves(high, share, confidence, over):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if _proves(middle, share, confidence, over):
            high = middle
        else:
            low = middle
    return high


def overruns_allowed(requests: int, share: float, confidence: float) -> int | None:
    """How many of `requests` may exceed the limit and still prove `share`; None if not even 0 may."""
    # As scipy.stats.binom.ppf, whose module takes a second to import.
    over = max(math.ceil(special.bdtrik(1 - confidence, requests, share)), 0)
    if not _proves(requests, share, confidence, over):
        over -= 1
    return over if over >= 0 else None


def _proves(requests: int, share: float, confidence: float, over: int) -> bool:
    return bool(special.bdtr(over, requests, share) <= 1 - confidence)
