"""What happened when."""

import pytest
from infermesh.proto.infermesh_load_v1 import load_pb2
from infermesh_native import Histogram
from infermesh_perf.load.timeline import MOST, Timeline, heat
from support.scripted_engine import MS, SECOND, told


def slices(count: int, begin: int = 5, quarters: int = 1) -> list[load_pb2.LoadSlice]:
    """So many of a quarter of a second, one request more in each."""
    step = quarters * SECOND // 4
    return [
        load_pb2.LoadSlice(
            start_ns=begin * SECOND + step * position,
            end_ns=begin * SECOND + step * (position + 1),
            workloads=[told(position), told(1, failed=2)],
            outstanding=position % 7,
        )
        for position in range(count)
    ]


def timeline(count: int) -> Timeline:
    found = Timeline()
    for each in slices(count):
        found.add(each)
    return found


def test_a_moment_for_each_slice() -> None:
    found = timeline(3).moments(lambda start, seconds: start + seconds)

    # Since the measurement began, and not since the generator did.
    assert [moment.start_seconds for moment in found] == pytest.approx([0, 0.25, 0.5])
    assert [moment.seconds for moment in found] == [0.25] * 3
    assert [moment.completed for moment in found] == [1, 2, 3]
    assert [moment.failed for moment in found] == [2] * 3
    assert [moment.outstanding for moment in found] == [0, 1, 2]
    assert [moment.gpu for moment in found] == pytest.approx([0.25, 0.5, 0.75])
    assert found[2].p50_ns == found[2].p99_ns == pytest.approx(MS, rel=1e-3)


def test_there_may_be_no_gpu_and_nothing_at_all() -> None:
    assert timeline(1).moments()[0].gpu is None
    assert Timeline().moments() == []


@pytest.mark.parametrize("count", [MOST, MOST + 1, MOST + 2, 2 * MOST + 1, 4 * MOST - 1])
def test_many_slices_are_joined(count: int) -> None:
    found = timeline(count).moments()

    assert MOST // 2 <= len(found) <= MOST
    # Nothing is lost, nothing counts twice, and no time is missing.
    assert sum(moment.completed for moment in found) == sum(range(count)) + count
    assert sum(moment.failed for moment in found) == 2 * count
    assert sum(sum(moment.heat.values()) for moment in found) == sum(range(count)) + count
    ends = [moment.start_seconds + moment.seconds for moment in found]
    assert [0.0, *ends[:-1]] == pytest.approx([moment.start_seconds for moment in found])
    assert ends[-1] == pytest.approx(count / 4)
    # All but the last are as long as each other.
    assert len({round(moment.seconds, 6) for moment in found[:-1]}) == 1
    assert max(moment.outstanding for moment in found) == 6


def test_heat_has_four_steps_for_each_doubling() -> None:
    histogram = Histogram()
    for value, count in ((10, 1), (1_000, 2), (1_500, 4), (2_000, 8), (4_000, 16), (1_024_000, 32)):
        histogram.record(value, count)

    assert heat(histogram) == {0: 3, 2: 4, 4: 8, 8: 16, 40: 32}


def test_heat_of_nothing() -> None:
    assert heat(Histogram()) == {}
