import pytest
from infermesh_perf.analysis.stability import Stability, judge
from infermesh_perf.results.document import Window


def windows(*figures: tuple[float, float]) -> list[Window]:
    return [
        Window(start_seconds=place, seconds=1, throughput=throughput, latency_ns=latency)
        for place, (throughput, latency) in enumerate(figures)
    ]


@pytest.mark.parametrize(
    ("figures", "stable"),
    [
        ([(100, 10), (110, 10), (100, 11)], True),
        ([(100, 10), (111, 10), (100, 10)], False),
        ([(100, 10), (100, 10), (100, 11.1)], False),
        ([(100, 10), (100, 10)], False),
        ([(0, 0), (0, 0), (0, 0)], False),
        # Only the last three count.
        ([(5, 900), (100, 10), (100, 10), (100, 10)], True),
        ([(100, 10), (100, 10), (100, 10), (5, 900)], False),
        # Each near its neighbour, and the last far from the first.
        ([(100, 10), (109, 10), (118, 10)], False),
    ],
)
def test_last_windows_agree(figures: list[tuple[float, float]], stable: bool) -> None:
    assert judge(windows(*figures), 10) is stable


def test_stops_when_windows_agree() -> None:
    stability = Stability(percent=10, trials=10)
    seen = []
    for window in windows((50, 10), (90, 10), (100, 10), (100, 10)):
        stability.add(window)
        seen.append(stability.done)

    assert seen == [False, False, False, False]
    stability.add(windows((100, 10))[0])
    assert stability.stable
    assert stability.done
    assert len(stability.windows) == 5


def test_stops_when_trials_are_used_up() -> None:
    stability = Stability(percent=10, trials=4)
    for window in windows((10, 1), (20, 1), (10, 1), (20, 1)):
        assert not stability.done
        stability.add(window)

    assert stability.done
    assert not stability.stable
