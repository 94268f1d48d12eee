"""The one clock rule of a load that several machines send.

The coordinator's clock decides. Before each run it asks every worker for its clock several times and believes
the answer with the quickest round trip (F. Cristian, "Probabilistic clock synchronization", Distributed
Computing 3, 1989): the worker read its clock somewhere within that round trip, so that taking its middle is
wrong by half of it at most. This bound is kept and reported, and a worker about whose clock too little is
known is refused.

Wall clocks serve once per run, for the common start, which every worker is told in its own time. From there
on each machine counts on its monotonic clock, and slices are told apart by their number since the start: the
first ones of all workers are merged, then the second ones, and so on. No difference between clocks enters a
figure.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from infermesh_perf.errors import RunError

#: How often a worker is asked.
ASKED = 8
#: A worker whose clock is known less well does not take part.
MOST_ERROR_NS = 20_000_000

Clock = Callable[[], int]


@dataclass(frozen=True)
class ClockOffset:
    """How far a worker's clock is ahead of this one, and by how much that may be wrong. Nanoseconds."""

    offset_ns: int
    error_ns: int

    def theirs(self, unix_ns: int) -> int:
        """A moment of this machine's clock, on the worker's."""
        return unix_ns + self.offset_ns


def estimate(ask: Clock, clock: Clock = time.time_ns, times: int = ASKED) -> ClockOffset:
    """Cristian's algorithm: `ask` tells the worker's clock, `clock` this machine's, nanoseconds since 1970.

    Raises what `ask` raises, and RunError if this machine's clock was set back each time.
    """
    found: list[ClockOffset] = []
    for _ in range(times):
        before = clock()
        theirs = ask()
        after = clock()
        # A clock that was set back meanwhile says nothing.
        if after >= before:
            found.append(ClockOffset(theirs - (before + after) // 2, (after - before + 1) // 2))
    if not found:
        raise RunError("this machine's clock was set back while workers were asked for theirs: try again")
    return min(found, key=lambda offset: offset.error_ns)


def check(offset: ClockOffset, worker: str) -> None:
    """Raises RunError for a worker about whose clock too little is known."""
    if offset.error_ns > MOST_ERROR_NS:
        raise RunError(
            f"the clock of worker {worker} is known to {offset.error_ns / 1e6:.1f} ms only, expected "
            f"{MOST_ERROR_NS / 1e6:.0f} ms at most: its quickest of {ASKED} answers took "
            f"{2 * offset.error_ns / 1e6:.1f} ms",
            hint="leave it out, or use one on a quicker or less busy network",
        )


@dataclass(frozen=True)
class Anchor:
    """One moment on both clocks of a machine; wall time is counted from it on the monotonic one."""

    unix_ns: int
    monotonic_ns: int

    @classmethod
    def now(cls) -> Anchor:
        """The present."""
        return cls(time.time_ns(), time.monotonic_ns())

    def monotonic(self, unix_ns: int) -> int:
        """A moment of the wall clock, on the monotonic one."""
        return self.monotonic_ns + unix_ns - self.unix_ns

    def unix(self, monotonic_ns: int) -> int:
        """A moment of the monotonic clock, on the wall clock as it was going at the anchor."""
        return self.unix_ns + monotonic_ns - self.monotonic_ns
