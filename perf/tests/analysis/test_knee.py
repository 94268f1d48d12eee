import pytest
from infermesh_perf.analysis.knee import knee


def test_queue_turns_before_its_capacity() -> None:
    points = [
        (rho * 1000, 1 / (1 - rho)) for rho in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
    ]

    place = knee(points)

    assert place is not None
    assert 700 <= points[place][0] <= 950


def test_closed_loop_turns_where_throughput_stops() -> None:
    throughput = [250, 500, 900, 1000, 995, 1000, 990]
    latency = [1, 1, 1.1, 2, 4, 8, 16]

    assert knee(list(zip(throughput, latency, strict=True))) == 3


def test_overload_that_costs_throughput() -> None:
    assert knee([(100, 1), (200, 1), (400, 1.2), (500, 2), (400, 20), (300, 60)]) == 3


@pytest.mark.parametrize(
    "points",
    [
        [],
        [(1, 1), (2, 1), (3, 9)],
        [(100 * step, step) for step in range(10)],
        [(100 * step, 5) for step in range(10)],
        [(100, step) for step in range(10)],
        # It turns the other way: latency rises first and levels off.
        [(100 * step, step**0.3) for step in range(1, 10)],
    ],
)
def test_no_knee(points: list[tuple[float, float]]) -> None:
    assert knee(points) is None
