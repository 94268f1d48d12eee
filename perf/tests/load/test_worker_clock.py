"""What is known of another machine's clock, with clocks that the tests set."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from infermesh_perf.errors import RunError
from infermesh_perf.load import worker_clock
from infermesh_perf.load.worker_clock import Anchor, ClockOffset, estimate

MS = 1_000_000
AHEAD = 3_600_000 * MS


class Machines:
    """Two clocks `AHEAD` apart; each way between them takes what the test says, in milliseconds."""

    def __init__(self, *ways: tuple[float, float]) -> None:
        self.now = 1_700_000_000_000 * MS
        self._ways: Iterator[tuple[float, float]] = iter(ways)

    def clock(self) -> int:
        return self.now

    def ask(self) -> int:
        there, back = next(self._ways)
        self.now += round(there * MS)
        theirs = self.now + AHEAD
        self.now += round(back * MS)
        return theirs


def test_equal_ways_are_exact() -> None:
    machines = Machines((2, 2))
    assert estimate(machines.ask, machines.clock, 1) == ClockOffset(AHEAD, 2 * MS)


def test_the_quickest_round_trip_is_believed() -> None:
    machines = Machines((40, 5), (1, 1.5), (3, 30))
    found = estimate(machines.ask, machines.clock, 3)
    assert found.error_ns == 1.25 * MS
    # Wrong by half of the difference between the ways.
    assert found.offset_ns == AHEAD - 0.25 * MS


@pytest.mark.parametrize("ways", [(8, 0), (0, 8), (6, 2), (4, 4)])
def test_the_bound_holds_however_the_ways_differ(ways: tuple[float, float]) -> None:
    machines = Machines(ways)
    found = estimate(machines.ask, machines.clock, 1)
    assert abs(found.offset_ns - AHEAD) <= found.error_ns == 4 * MS


def test_a_clock_that_is_set_back_meanwhile() -> None:
    machines = Machines((1, -5), (3, 3))
    assert estimate(machines.ask, machines.clock, 2) == ClockOffset(AHEAD, 3 * MS)
    machines = Machines((1, -5))
    with pytest.raises(RunError, match="set back"):
        estimate(machines.ask, machines.clock, 1)


def test_a_moment_in_the_time_of_the_worker() -> None:
    assert ClockOffset(-5, 1).theirs(100) == 95


def test_too_little_is_known() -> None:
    worker_clock.check(ClockOffset(AHEAD, 20 * MS), "a:1")
    with pytest.raises(RunError, match=r"worker a:1 is known to 25\.0 ms only, .* took 50\.0 ms") as caught:
        worker_clock.check(ClockOffset(0, 25 * MS), "a:1")
    assert "quicker" in str(caught.value.hint)


def test_wall_time_on_the_monotonic_clock() -> None:
    anchor = Anchor(unix_ns=1_000, monotonic_ns=50)
    assert anchor.monotonic(1_200) == 250
    assert anchor.unix(anchor.monotonic(777)) == 777
