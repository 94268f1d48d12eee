"""When a measurement has settled: the rule of perf_analyzer."""

from __future__ import annotations

from collections.abc import Sequence

from infermesh_perf.results.document import Window

#: How many windows must agree.
COUNT = 3


def judge(windows: Sequence[Window], percent: float = 10, count: int = COUNT) -> bool:
    """Whether the last `count` windows agree in throughput and in latency: highest / lowest <= 1 + percent /
    100.

    Never with fewer windows, nor with one in which nothing was answered.
    """
    last = windows[-count:]
    if len(last) < count or any(window.throughput <= 0 for window in last):
        return False
    most = 1 + percent / 100
    return all(
        max(values) <= most * min(values)
        for values in ([window.throughput for window in last], [window.latency_ns for window in last])
    )


class Stability:
    """Takes windows one after the other until they agree, or until there are too many."""

    def __init__(self, percent: float = 10, trials: int = 10, count: int = COUNT) -> None:
        """At most `trials` windows; `count` of them must agree to `percent`."""
        self._percent = percent
        self._trials = trials
        self._count = count
        self._windows: list[Window] = []

    def add(self, window: Window) -> None:
        """The next window."""
        self._windows.append(window)

    @property
    def windows(self) -> tuple[Window, ...]:
        """All of them."""
        return tuple(self._windows)

    @property
    def stable(self) -> bool:
        """Whether the last windows agree."""
        return judge(self._windows, self._percent, self._count)

    @property
    def done(self) -> bool:
        """Whether to stop: they agree, or no more trials are allowed."""
        return self.stable or len(self._windows) >= self._trials
