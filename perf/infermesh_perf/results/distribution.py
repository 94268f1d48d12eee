"""Histograms as the document holds them, and back."""

from __future__ import annotations

import base64
import binascii

from infermesh_native import Histogram

from infermesh_perf.results.document import Distribution

#: What every distribution says without being asked, as text so that it is a key in JSON.
PERCENTILES = ("50", "90", "95", "99", "99.9", "99.99")


def summarise(histogram: Histogram) -> Distribution:
    """A histogram of nanoseconds with what people ask of it."""
    return Distribution(
        count=histogram.count,
        mean_ns=histogram.mean,
        stdev_ns=histogram.stdev,
        min_ns=histogram.min,
        max_ns=histogram.max,
        percentiles_ns={name: histogram.percentile(float(name)) for name in PERCENTILES},
        encoded=base64.b64encode(histogram.encode()).decode(),
    )


def histogram(distribution: Distribution) -> Histogram:
    """The histogram that a distribution was made from. Raises ValueError if it holds none."""
    try:
        encoded = base64.b64decode(distribution.encoded, validate=True)
    except binascii.Error as error:
        raise ValueError(f"found no base64 where a histogram belongs: {error}") from error
    return Histogram.decode(encoded)


def latency(distribution: Distribution, metric: str) -> float:
    """Nanoseconds by the metric's name: `mean`, `max` or a percentile such as `p99.9`; 0 if it is empty.

    Percentiles that the distribution does not list are asked of its histogram. Raises ValueError for another
    name.
    """
    match metric:
        case "mean":
            return distribution.mean_ns
        case "max":
            return float(distribution.max_ns)
    percentile = metric.removeprefix("p")
    listed = distribution.percentiles_ns.get(percentile)
    return float(histogram(distribution).percentile(float(percentile)) if listed is None else listed)
