"""What is kept of a level that ends before its time."""

import pytest
from infermesh.proto.infermesh_load_v1 import load_pb2
from infermesh_perf.errors import RunError
from infermesh_perf.load.measure import measure
from infermesh_perf.load.pacing import Pacing
from support.scripted_engine import MS, SECOND, ScriptedEngine, steady, times, told

MINUTE = Pacing(2, warm_up_seconds=0.5, seconds=60)


def test_a_server_that_goes_away() -> None:
    ended: list[float] = []

    def happens(start: float, end: float) -> load_pb2.LoadSlice:
        alive = start < 4
        count = round(100 * (end - start)) if alive else 0
        return load_pb2.LoadSlice(workloads=[told(count)], connection_error="" if alive else "refused")

    engine = ScriptedEngine(happens, connected=lambda now: now <= 4)

    found = measure(engine, 1, MINUTE, end=lambda: ended.append(engine.now))

    assert found.cut_short == "the server went away and did not come back within 5 s: refused"
    assert found.totals.completed == 350
    assert 9 < engine.now < 11
    # Nobody is there to wait for.
    assert engine.drained_for == 0
    assert len(ended) == 1


def test_a_server_that_comes_back() -> None:
    engine = ScriptedEngine(steady(100), connected=lambda now: not (3 < now < 7 or 9 < now < 13))

    found = measure(engine, 1, MINUTE)

    assert found.cut_short == ""
    assert found.totals.seconds == pytest.approx(60)


def test_no_connection_is_left_of_a_run_that_is_over() -> None:
    engine = ScriptedEngine(steady(100), finish_at=3, connected=lambda _: False)

    assert measure(engine, 1, Pacing(2, warm_up_seconds=0, requests=300)).cut_short == ""


def test_a_server_that_goes_away_in_the_warm_up() -> None:
    engine = ScriptedEngine(steady(0), connected=lambda _: False)

    with pytest.raises(
        RunError, match=r"nothing was measured: the server went away .* no connection is left"
    ):
        measure(engine, 1, Pacing(warm_up_seconds=30))


def test_an_interrupt() -> None:
    engine = ScriptedEngine(steady(100), interrupt_at=5.6)

    found = measure(engine, 1, MINUTE)

    assert found.cut_short == "interrupted"
    assert found.totals.completed == 500
    assert found.totals.seconds == pytest.approx(5)
    # The window that had begun counts, and is not judged.
    assert len(found.windows) == 2
    assert engine.drained_for == 0
    assert engine.calls[-1] == "stop"


def test_an_interrupt_of_windows_that_agree_keeps_all() -> None:
    found = measure(ScriptedEngine(steady(100), interrupt_at=5), 1, Pacing(2, warm_up_seconds=0))

    assert found.stable is False
    assert found.totals.completed == 475


def test_an_interrupt_of_the_warm_up() -> None:
    with pytest.raises(RunError, match="nothing was measured: interrupted"):
        measure(ScriptedEngine(steady(100), interrupt_at=0.3), 1, MINUTE)


def test_an_interrupt_while_requests_are_followed() -> None:
    class Impatient(ScriptedEngine):
        def stop(self, drain: float) -> None:
            super().stop(drain)
            raise KeyboardInterrupt

    found = measure(Impatient(steady(100)), 1, Pacing(1, warm_up_seconds=0, seconds=1))

    assert found.cut_short == "interrupted"
    assert found.totals.completed == 100


def test_nobody_sends_any_more() -> None:
    def happens(start: float, end: float) -> load_pb2.LoadSlice:
        if start >= 3:
            raise RunError("a worker has ended")
        return steady(100)(start, end)

    found = measure(ScriptedEngine(happens), 1, MINUTE)

    assert found.cut_short == "a worker has ended"
    assert found.totals.completed == 250


def test_requests_that_wait_too_long_to_be_sent() -> None:
    def happens(start: float, end: float) -> load_pb2.LoadSlice:
        slice_ = steady(100)(start, end)
        slice_.workloads[0].lag = times(700 * MS if start >= 2 else MS, 25)
        return slice_

    found = measure(ScriptedEngine(happens), 1, Pacing(1, warm_up_seconds=0, seconds=9, abort_seconds=0.5))

    assert found.cut_short == "a request waited 0.7 s to be sent, 0.5 s are allowed"
    assert found.totals.seconds == pytest.approx(2.25)
    assert found.timeline.moments()[-1].start_seconds * SECOND == 2 * SECOND
