"""From what was measured to what the document says of a level."""

import pytest
from infermesh.proto.infermesh_load_v1 import load_pb2
from infermesh_perf.analysis import slo
from infermesh_perf.hops.server_times import ServerTimes
from infermesh_perf.hops.spans import Stages
from infermesh_perf.hops.traces import Traced
from infermesh_perf.load.level import Context, level
from infermesh_perf.load.measure import Measurement, measure
from infermesh_perf.load.observe import Seen
from infermesh_perf.load.pacing import Pacing
from infermesh_perf.results.document import Level, Load
from support.scripted_engine import MS, ScriptedEngine, steady, times, told

CLOSED = Load(mode="concurrency", value=4)
OPEN = Load(mode="rate", value=100, distribution="constant")
SECOND_LONG = Pacing(1, warm_up_seconds=0, seconds=1)


def found(*workloads: load_pb2.WorkloadSlice, **more: object) -> Measurement:
    """A second of four slices that are alike."""
    slice_ = load_pb2.LoadSlice(workloads=workloads, threads=1, **more)  # type: ignore[arg-type]

    def happens(_start: float, _end: float) -> load_pb2.LoadSlice:
        copy = load_pb2.LoadSlice()
        copy.CopyFrom(slice_)
        return copy

    rest = load_pb2.LoadSlice(unsent=slice_.unsent)
    return measure(ScriptedEngine(happens, rest=rest), len(workloads), SECOND_LONG)


def judged(load: Load, measurement: Measurement, **context: object) -> Level:
    return level(load, measurement, Seen(), [], Context(["m"], [1], **context))  # type: ignore[arg-type]


def failed(made: Level) -> list[str]:
    return [check.name for check in made.checks if not check.passed]


def test_counts_and_rates() -> None:
    made = level(
        CLOSED,
        found(told(20, failed=5), told(5, 9 * MS)),
        Seen(batch_sizes={8: 3}),
        [],
        Context(["a", "b"], [8, 2]),
    )

    assert (made.completed, made.failed, made.responses) == (100, 20, 100)
    assert (made.throughput, made.rows_per_second) == pytest.approx((100, 80 * 8 + 20 * 2))
    assert made.latency.percentiles_ns["99"] == pytest.approx(9 * MS, rel=1e-3)
    assert made.error_share == pytest.approx(1 / 6)
    assert [(it.name, it.throughput, it.completed, it.failed) for it in made.workloads] == [
        ("a", 80, 80, 20),
        ("b", 20, 20, 0),
    ]
    assert made.batch_sizes == {8: 3}
    assert made.valid
    assert made.objective_met is None


def test_failures_begin_with_the_most_frequent() -> None:
    rare, often = told(0, failed=1, kind="TIMEOUT"), told(9, failed=4)
    often.errors.extend(rare.errors)

    made = judged(CLOSED, found(often))

    assert [(it.kind, it.count, it.latency.count) for it in made.failures] == [
        ("UNAVAILABLE", 16, 16),
        ("TIMEOUT", 4, 4),
    ]


@pytest.mark.parametrize(
    ("text", "met"),
    [("p99<2ms", True), ("p99<0.5ms", False), ("errors<1%", True), ("mean<2ms,throughput>1000/s", False)],
)
def test_an_objective_is_met_or_not(text: str, met: bool) -> None:
    made = judged(CLOSED, measure(ScriptedEngine(steady(400)), 1, SECOND_LONG), objective=slo.parse(text))

    assert made.objective_met is met


def test_a_percentile_asks_for_requests() -> None:
    few = judged(CLOSED, found(told(10)), objective=slo.parse("p99<20ms"))
    many = judged(CLOSED, found(told(500)), objective=slo.parse("p99<20ms"))

    assert failed(few) == ["requests for p99"]
    assert failed(many) == []
    assert failed(judged(CLOSED, found(told(10)), objective=slo.parse("mean<20ms"))) == []


def test_a_client_that_does_not_send_what_is_due() -> None:
    assert failed(judged(OPEN, found(told(25)))) == []
    # A quarter of what was due was never sent, although little was under way.
    assert failed(judged(OPEN, found(told(25), unsent=33, outstanding=2))) == ["rate achieved"]
    # As much as allowed was: the server is at fault, and that is a result.
    saturated = judged(OPEN, found(told(25), unsent=33, outstanding=8), max_outstanding=8)
    assert failed(saturated) == []
    assert saturated.unsent == 33
    # A closed loop has no rate to keep.
    assert failed(judged(CLOSED, found(told(25), unsent=33))) == []


def test_other_limits_of_the_client() -> None:
    assert failed(judged(CLOSED, found(told(25)), ceiling=200)) == []
    assert failed(judged(CLOSED, found(told(25)), ceiling=110)) == ["client ceiling"]
    assert failed(judged(CLOSED, found(told(25), cpu_ns=245 * MS))) == ["client CPU"]
    assert failed(judged(CLOSED, found(told(25), lateness=times(9 * MS, 5)))) == ["client lateness p99"]
    assert failed(judged(CLOSED, found(told(25), connections_lost=1))) == ["connections lost"]
    assert failed(judged(CLOSED, found(told(0, failed=3)))) == ["good answers"]


def test_windows_that_do_not_agree() -> None:
    def happens(start: float, _end: float) -> load_pb2.LoadSlice:
        return load_pb2.LoadSlice(workloads=[told(10 if int(start) % 2 else 30)])

    made = judged(CLOSED, measure(ScriptedEngine(happens), 1, Pacing(1, 4, 10, None, 0)))

    assert made.stable is False
    assert failed(made) == ["stability"]
    assert len(made.windows) == 4


def test_the_slowest_requests_with_their_stages() -> None:
    one = told(5)
    one.slowest.add(due_ns=400 * MS, lag_ns=1 * MS, service_ns=9 * MS, payload=3, connection=2)
    one.slowest.add(due_ns=700 * MS, lag_ns=0, service_ns=99 * MS, error="TIMEOUT", trace_id=b"\7" * 16)
    server = ServerTimes("traces", 1, 95.0 * MS, 80.0 * MS, 1.0 * MS, 10.0 * MS, 1.0 * MS)
    traced = Traced(None, None, {(b"\7" * 16).hex(): Stages(server, None)}, 3, 0)
    measurement = found(one)

    made = level(CLOSED, measurement, Seen(traced=traced), [], Context(["m"], [1]))

    slowest, *_, last = made.slowest
    assert (slowest.workload, slowest.error, slowest.service_ns) == ("m", "TIMEOUT", 99 * MS)
    assert slowest.due_seconds == pytest.approx(0.7)
    assert slowest.trace_id == "07" * 16
    assert slowest.stages_ns["queue"] == 80 * MS
    assert (last.payload, last.connection, last.trace_id, last.stages_ns) == (3, 2, "", {})


def test_a_run_without_requests() -> None:
    made = judged(CLOSED, found(told(0)))

    assert (made.throughput, made.rows_per_second, made.completed) == (0, 0, 0)
    assert failed(made) == ["good answers"]
