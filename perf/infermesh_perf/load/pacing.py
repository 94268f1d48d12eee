"""How long one level is measured."""

from __future__ import annotations

from dataclasses import dataclass

#: At the end of a level, requests under way are followed for so long.
DRAIN_SECONDS = 30.0
LONGEST = 10


@dataclass(frozen=True)
class Pacing:
    """Windows until they agree, unless `seconds` or `requests` say when to end.

    With `seconds`, measuring goes on until `minimum_requests` have ended, too, for `LONGEST` times as long at
    most.

    The warm-up ends when both its time and its requests are over. `percentile` is that of the latency by
    which windows are compared; None: its mean.
    """

    window_seconds: float = 2.0
    trials: int = 10
    stability_percent: float = 10.0
    percentile: float | None = None
    warm_up_seconds: float = 0.5
    warm_up_requests: int = 0
    seconds: float | None = None
    requests: int | None = None
    minimum_requests: int = 0
    slice_seconds: float = 0.25
    drain_seconds: float = DRAIN_SECONDS
    #: End when a request that is due has waited for so long to be sent; None: never.
    abort_seconds: float | None = None

    @property
    def judges_stability(self) -> bool:
        """Whether the windows decide when to end."""
        return self.seconds is None and self.requests is None

    @property
    def longest_seconds(self) -> float | None:
        """How long measuring takes at most; None if that depends on the server."""
        if self.requests is not None:
            return self.seconds
        return self.window_seconds * self.trials if self.seconds is None else self.seconds
