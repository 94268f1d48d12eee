"""The knee of a throughput-latency curve: where more load begins to cost more than it brings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: How far the curve must turn, in mean distances between points: Kneedle's S, 1 for measured levels.
SENSITIVITY = 1.0


def knee(points: Sequence[tuple[float, float]]) -> int | None:
    """The place of the knee among (throughput, latency) points, which must be in the order of their load.

    Kneedle (Satopää et al. 2011, "Finding a Kneedle in a Haystack"): both axes are stretched to 0..1; the
    knee is where the curve is farthest below the diagonal, if from there it comes back by more than the
    threshold. Points are not smoothed, for each is a measurement of its own. None for fewer than four points,
    and for a curve without a turn.
    """
    if len(points) < 4:
        return None
    values = np.asarray(points, dtype=float)
    # A saturated server answers a little less under more load: the curve goes straight up there, and not
    # back.
    throughput = np.maximum.accumulate(values[:, 0])
    latency = values[:, 1]
    if np.ptp(throughput) == 0 or np.ptp(latency) == 0:
        return None
    x = (throughput - throughput.min()) / np.ptp(throughput)
    y = (latency - latency.min()) / np.ptp(latency)
    below = x - y
    place = int(below.argmax())
    threshold = below[place] - SENSITIVITY / (len(points) - 1)
    if place in (0, len(points) - 1) or threshold <= 0 or below[place + 1 :].min() >= threshold:
        return None
    return place
