"""From options to how long levels take."""

from __future__ import annotations

from infermesh_perf.command import values
from infermesh_perf.command.options import TimeOptions
from infermesh_perf.load.pacing import Pacing

LONGEST_SECONDS = 86_400.0


def pacing_of(options: TimeOptions) -> Pacing:
    """How long levels take."""
    percentile, late = options.percentile, options.abort_after_late
    if percentile is not None:
        values.within("--percentile", percentile, 1, 100)
    if late is not None:
        values.within("--abort-after-late", late, 1, LONGEST_SECONDS * 1e3, "ms")
    return Pacing(
        window_seconds=values.within("-p", options.measurement_interval, 50, LONGEST_SECONDS * 1e3, "ms")
        / 1e3,
        trials=options.max_trials,
        stability_percent=values.within("-s", options.stability_percentage, 0.01, 1000, "%"),
        percentile=percentile,
        warm_up_seconds=values.within("--warm-up", options.warm_up, 0, LONGEST_SECONDS, "s"),
        warm_up_requests=options.warmup_request_count,
        seconds=values.duration("-z", options.duration),
        requests=options.request_count or None,
        abort_seconds=None if late is None else late / 1e3,
    )
