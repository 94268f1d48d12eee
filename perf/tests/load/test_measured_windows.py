"""When measuring ends, and which slices count, on a clock that only the script moves."""

import pytest
from infermesh.proto.infermesh_load_v1 import load_pb2
from infermesh_perf.load.measure import Progress, measure
from infermesh_perf.load.pacing import Pacing
from support.scripted_engine import MS, Happening, ScriptedEngine, encoded, steady, told

QUICK = Pacing(window_seconds=1, warm_up_seconds=0)


def by_second(*rates: int) -> Happening:
    """Answers in each second; the last goes on for ever."""

    def happens(start: float, end: float) -> load_pb2.LoadSlice:
        rate = rates[min(int(start + 1e-6), len(rates) - 1)]
        return load_pb2.LoadSlice(workloads=[told(round(rate * (end - start)))])

    return happens


def rest(*workloads: load_pb2.WorkloadSlice) -> load_pb2.LoadSlice:
    return load_pb2.LoadSlice(workloads=workloads)


def test_three_windows_that_agree_are_enough() -> None:
    engine = ScriptedEngine(steady(400))

    found = measure(engine, 1, Pacing())

    assert found.stable
    assert [window.throughput for window in found.windows] == pytest.approx([400] * 3)
    assert [window.start_seconds for window in found.windows] == pytest.approx([0, 2, 4])
    assert (found.totals.seconds, found.totals.throughput) == pytest.approx((6, 400))
    # Half a second of warm-up, three windows of two, and the drain.
    assert engine.now == pytest.approx(7)
    assert found.cut_short == ""


def test_windows_before_those_that_agree_do_not_count() -> None:
    found = measure(ScriptedEngine(by_second(100, 200, 300)), 1, QUICK)

    assert found.stable
    assert [round(window.throughput) for window in found.windows] == [100, 200, 300, 300, 300]
    assert (found.totals.seconds, found.totals.throughput) == pytest.approx((3, 300))
    assert found.totals.all.latency.count == 900
    # People still see how it came about.
    assert sum(moment.completed for moment in found.timeline.moments()) == 1200


def test_windows_that_never_agree_end_after_the_trials() -> None:
    found = measure(ScriptedEngine(by_second(100, 200, 100, 200, 100, 200)), 1, Pacing(1, 5, 10, None, 0))

    assert found.stable is False
    assert len(found.windows) == 5
    assert found.totals.seconds == pytest.approx(5)


def test_a_larger_difference_can_be_allowed() -> None:
    found = measure(ScriptedEngine(by_second(100, 200, 100)), 1, Pacing(1, 5, 100, None, 0))

    assert found.stable
    assert len(found.windows) == 3


def test_windows_can_be_judged_by_a_percentile() -> None:
    # The mean stays, the tail moves from window to window.
    def happens(start: float, _: float) -> load_pb2.LoadSlice:
        tail = 40 if int(start + 1e-6) % 2 else 20
        values = [10 * MS] * 97 + [tail * MS] * 3 if tail == 20 else [9_400_000] * 97 + [tail * MS] * 3
        return load_pb2.LoadSlice(workloads=[load_pb2.WorkloadSlice(completed=100, latency=encoded(*values))])

    by_mean = measure(ScriptedEngine(happens), 1, Pacing(1, 4, 10, None, 0))
    by_tail = measure(ScriptedEngine(happens), 1, Pacing(1, 4, 10, 99, 0))

    assert by_mean.stable
    assert by_tail.stable is False
    assert [round(window.latency_ns / MS) for window in by_tail.windows] == [20, 40, 20, 40]


def test_nothing_answered_is_never_stable() -> None:
    found = measure(ScriptedEngine(by_second(0)), 1, Pacing(1, 4, 10, None, 0))

    assert found.stable is False
    assert len(found.windows) == 4
    assert found.totals.throughput == 0


def test_a_fixed_time_ends_on_it() -> None:
    found = measure(ScriptedEngine(steady(1000)), 1, Pacing(0.4, warm_up_seconds=0, seconds=1))

    assert found.stable is None
    assert [window.seconds for window in found.windows] == pytest.approx([0.4, 0.4, 0.2])
    assert found.totals.seconds == pytest.approx(1)
    assert found.totals.completed == 1000


def test_a_number_of_requests_ends_with_the_last() -> None:
    found = measure(
        ScriptedEngine(steady(1000), finish_at=2.2), 1, Pacing(1, warm_up_seconds=0, requests=2200)
    )

    assert found.totals.completed == 2200
    assert found.totals.seconds == pytest.approx(2.2)
    assert found.stable is None


def test_a_fixed_time_is_longer_where_requests_are_missing() -> None:
    pacing = Pacing(1, warm_up_seconds=0, seconds=1, minimum_requests=250)

    assert measure(ScriptedEngine(steady(100)), 1, pacing).totals.completed == 250
    # Ten times as long at most.
    slow = measure(ScriptedEngine(steady(4)), 1, pacing)
    assert slow.totals.completed == 40
    assert slow.totals.seconds == pytest.approx(10)
    # Failures are requests, too.
    failing = ScriptedEngine(lambda *_: load_pb2.LoadSlice(workloads=[told(0, failed=125)]))
    assert measure(failing, 1, pacing).totals.seconds == pytest.approx(1)


def test_what_ends_in_the_drain_has_a_latency_and_no_rate() -> None:
    engine = ScriptedEngine(steady(100), rest=rest(told(7, 900 * MS, failed=2)))

    found = measure(engine, 1, Pacing(1, warm_up_seconds=0, seconds=1))

    assert engine.drained_for == 30
    assert found.totals.completed == 100
    assert found.totals.throughput == pytest.approx(100)
    assert found.totals.seconds == pytest.approx(1)
    whole = found.totals.all
    assert (whole.latency.count, whole.failed, whole.sent_bytes) == (107, 2, 10_900)
    assert whole.latency.max == pytest.approx(900 * MS, rel=1e-3)
    # It is no window of its own.
    assert len(found.windows) == 1


def test_what_ends_in_the_drain_belongs_to_windows_that_agree() -> None:
    found = measure(ScriptedEngine(by_second(40, 100), rest=rest(told(5))), 1, QUICK)

    assert found.totals.all.latency.count == 305


def test_the_most_that_was_under_way() -> None:
    def happens(start: float, _: float) -> load_pb2.LoadSlice:
        return load_pb2.LoadSlice(workloads=[told(1)], outstanding=9 if start == 0.5 else 3)

    assert measure(ScriptedEngine(happens), 1, Pacing(1, warm_up_seconds=0, seconds=2)).outstanding == 9


def test_a_view_is_told_of_every_slice() -> None:
    seen: list[Progress] = []

    measure(ScriptedEngine(steady(100)), 1, Pacing(1, warm_up_seconds=0.5, seconds=2), seen.append)

    assert [progress.phase for progress in seen] == ["warm-up"] * 2 + ["measuring"] * 8 + ["draining"]
    assert [progress.window for progress in seen[2:-1]] == [1] * 4 + [2] * 4
    assert seen[0].share is None
    assert [progress.share for progress in seen[2:-1]] == pytest.approx([n / 8 for n in range(1, 9)])


def test_a_view_is_told_of_a_share_of_the_requests() -> None:
    seen: list[Progress] = []
    engine = ScriptedEngine(steady(100), finish_at=1)

    measure(engine, 1, Pacing(1, warm_up_seconds=0, requests=100), seen.append)

    assert [progress.share for progress in seen] == pytest.approx([0.25, 0.5, 0.75, 1, 1])


def test_the_server_is_asked_around_the_measured_time() -> None:
    engine = ScriptedEngine(steady(100))

    measure(
        engine,
        1,
        QUICK,
        begin=lambda: engine.calls.append("begin"),
        end=lambda: engine.calls.append("end"),
    )

    assert engine.calls == ["start", "begin", "measure", "end", "stop"]


def test_the_moments_of_a_measurement() -> None:
    found = measure(ScriptedEngine(steady(100)), 1, Pacing(1, warm_up_seconds=2, seconds=1))

    assert (found.origin_ns, found.started_unix_ns) == (2_000_000_000, 1_700_000_000_000_000_000)
    assert found.timeline.moments()[0].start_seconds == 0
