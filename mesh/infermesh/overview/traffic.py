"""Traffic of what counters and histograms of several processes grew by."""

from collections.abc import Sequence
from dataclasses import dataclass

from infermesh.overview.increases import Grown
from infermesh.overview.quantiles import Buckets, merged, quantile
from infermesh.overview.view import Traffic


@dataclass(frozen=True)
class Part:
    """What one process has to say about it."""

    grown: Grown
    #: Requests that ended, and those of them that failed.
    requests: float
    failures: float
    #: In seconds.
    durations: Buckets


def traffic(parts: Sequence[Part]) -> Traffic:
    """Of all processes together."""
    requests = sum(part.requests for part in parts)
    durations = merged(part.durations for part in parts)
    return Traffic(
        rate=sum_of([part.grown.rate(part.requests) for part in parts]),
        success=1 - sum(part.failures for part in parts) / requests if requests else None,
        p50_ms=milliseconds(quantile(durations, 0.5)),
        p99_ms=milliseconds(quantile(durations, 0.99)),
    )


def sum_of(rates: Sequence[float | None]) -> float | None:
    """Of those that are known; None if none is."""
    known = [rate for rate in rates if rate is not None]
    return round(sum(known), 3) if known else None


def milliseconds(seconds: float | None) -> float | None:
    """Rounded to what anybody reads."""
    return None if seconds is None else round(seconds * 1e3, 3)
