"""Requests that do not count yet."""

import pytest
from infermesh.proto.infermesh_load_v1 import load_pb2
from infermesh_perf.errors import RunError
from infermesh_perf.load.measure import measure
from infermesh_perf.load.pacing import Pacing
from support.scripted_engine import ScriptedEngine, steady, told


@pytest.mark.parametrize(
    ("seconds", "requests", "ends"),
    [(0, 0, 0), (0.6, 0, 0.6), (0, 100, 1), (2, 100, 2), (0.5, 150, 1.5)],
)
def test_a_warm_up_ends_when_time_and_requests_are_over(seconds: float, requests: int, ends: float) -> None:
    engine = ScriptedEngine(steady(100))

    found = measure(engine, 1, Pacing(1, warm_up_seconds=seconds, warm_up_requests=requests, seconds=1))

    # A slice is cut every quarter of a second, or at the end of the time.
    assert found.origin_ns / 1e9 == pytest.approx(ends, abs=0.05)
    assert found.totals.completed == 100
    assert found.totals.all.latency.count == 100


def test_one_that_is_not_answered_ends_after_a_minute() -> None:
    engine = ScriptedEngine(lambda *_: load_pb2.LoadSlice(workloads=[told(0)]))

    with pytest.raises(RunError, match=r"nothing was measured: the warm-up brought 0 answers in 6\d s"):
        measure(engine, 1, Pacing(warm_up_seconds=0, warm_up_requests=1))

    assert 60 < engine.now < 62
    assert "measure" not in engine.calls
    assert engine.drained_for == 0


def test_a_longer_one_has_longer() -> None:
    with pytest.raises(RunError, match=r"brought 80\d\d answers in 80 s"):
        measure(ScriptedEngine(steady(100)), 1, Pacing(warm_up_seconds=40, warm_up_requests=9000))


def test_failures_are_no_answers() -> None:
    engine = ScriptedEngine(lambda *_: load_pb2.LoadSlice(workloads=[told(0, failed=10)]))

    with pytest.raises(RunError, match="brought 0 answers"):
        measure(engine, 1, Pacing(warm_up_seconds=0, warm_up_requests=5))
