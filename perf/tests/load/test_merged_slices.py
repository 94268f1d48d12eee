"""Slices of two workers as one."""

from __future__ import annotations

from typing import Any

from infermesh.proto.infermesh_load_v1 import load_pb2
from infermesh_native import Histogram
from infermesh_perf.load.merge import Merger
from support.load_workers import closed_plan

MS = 1_000_000


def encoded(*values: int) -> bytes:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    return histogram.encode()


def record(due_ms: int, service_ms: int, connection: int = 0) -> load_pb2.RequestRecord:
    return load_pb2.RequestRecord(due_ns=due_ms * MS, service_ns=service_ms * MS, connection=connection)


def told(end_ms: int, *latencies: int, finished: bool = False, **more: Any) -> load_pb2.LoadSlice:
    """A slice that ends there, with an answer for each latency."""
    part = load_pb2.WorkloadSlice(
        completed=len(latencies), sent=len(latencies), latency=encoded(*latencies), responses=len(latencies)
    )
    return load_pb2.LoadSlice(end_ns=end_ms * MS, workloads=[part], finished=finished, **more)


def merger(delays: tuple[int, int] = (0, 0), records: int = 0) -> Merger:
    plan = closed_plan("a:1")
    plan.slowest, plan.max_records = 2, records
    return Merger(plan, 99, delays)


def test_counts_are_added_and_histograms_merged() -> None:
    state: dict[str, Any] = {
        "threads": 2,
        "cpu_ns": 5,
        "connections": 3,
        "outstanding": 1,
        "unsent": 4,
        "connections_lost": 1,
    }
    first = told(100, 10, 20, lateness=encoded(7), **state)
    second = told(101, 1000, connection_error="reset", **state)
    found = merger().merge([[first], [second]])

    (part,) = found.workloads
    assert (part.completed, part.sent, part.responses) == (3, 3, 3)
    latency = Histogram.decode(part.latency)
    assert (latency.count, latency.min, latency.max) == (3, 10, 1000)
    # The percentile of all, and not the mean of two percentiles.
    assert latency.percentile(50) == 20
    assert Histogram.decode(found.lateness).count == 1
    assert (found.threads, found.cpu_ns, found.connections) == (4, 10, 6)
    assert (found.outstanding, found.unsent, found.connections_lost) == (2, 8, 2)
    assert (found.connection_error, found.started_unix_ns) == ("reset", 99)


def test_failures_are_joined_by_their_kind() -> None:
    first, second = told(100), told(100)
    first.workloads[0].errors.add(kind="TIMEOUT", count=2, message="slow", latency=encoded(5, 6))
    second.workloads[0].errors.add(kind="TIMEOUT", count=1, message="slower", latency=encoded(7))
    second.workloads[0].errors.add(kind="UNAVAILABLE", count=1, latency=encoded(8))
    errors = {it.kind: it for it in merger().merge([[first], [second]]).workloads[0].errors}

    assert (errors["TIMEOUT"].count, errors["TIMEOUT"].message) == (3, "slow")
    assert Histogram.decode(errors["TIMEOUT"].latency).count == 3
    assert errors["UNAVAILABLE"].count == 1


def test_several_slices_are_one() -> None:
    both = merger()
    found = both.merge(
        [[told(100, 1, connections=5), told(200, 2, connections=4)], [told(100), told(202, 3)]]
    )
    assert (found.start_ns, found.end_ns) == (0, 202 * MS)
    assert found.workloads[0].completed == 3
    # As it is at the end.
    assert found.connections == 4
    assert both.merge([[told(300)], [told(301)]]).start_ns == 202 * MS


def test_the_run_lasts_until_the_last_worker_is_done() -> None:
    both = merger()
    first = both.merge([[told(40, 1, finished=True)], [told(100, 2)]])
    assert (first.end_ns, first.finished) == (100 * MS, False)
    # The one that is done cuts at the boundary; the other one at its end.
    second = both.merge([[told(200, finished=True)], [told(130, 3, finished=True)]])
    assert (second.start_ns, second.end_ns, second.finished) == (100 * MS, 130 * MS, True)


def test_the_slowest_of_all_by_their_common_start() -> None:
    first, second = told(100), told(100)
    first.workloads[0].slowest.extend([record(10, 9), record(11, 2)])
    second.workloads[0].slowest.extend([record(20, 5, connection=4)])
    (part,) = merger(delays=(0, 3 * MS)).merge([[first], [second]]).workloads

    assert [it.service_ns // MS for it in part.slowest] == [9, 5]
    assert [it.due_ns // MS for it in part.slowest] == [10, 23]
    # Connection 4 of the second of two workers.
    assert [it.connection for it in part.slowest] == [0, 9]


def test_as_many_records_as_one_worker_would_keep() -> None:
    slices = [told(100) for _ in range(4)]
    for position, slice_ in enumerate(slices):
        slice_.workloads[0].records.extend([record(position, 1), record(position + 10, 1)])
    (part,) = merger(records=1).merge([slices[:2], slices[2:]]).workloads
    assert [it.due_ns // MS for it in part.records] == [0, 1]


def test_of_slices_before_the_measured_time_only_measured_requests_count() -> None:
    both = merger()
    late = told(101, 7, connections_lost=1)
    late.workloads[0].errors.add(kind="TIMEOUT", count=1, latency=encoded(5))
    both.pass_over([[told(100)], [told(100)]])
    both.pass_over([[told(200)], [late]])
    found = both.merge([[told(300, 8)], [told(300, 9)]])

    assert (found.start_ns, found.end_ns) == (200 * MS, 300 * MS)
    (part,) = found.workloads
    # For the rate two answers, for the distribution three.
    assert (part.completed, part.sent) == (2, 2)
    assert Histogram.decode(part.latency).count == 3
    assert part.errors[0].count == 1
    assert found.connections_lost == 0
    assert both.merge([[told(400)], [told(400)]]).workloads[0].latency == encoded()


def test_nothing_new_keeps_the_state() -> None:
    both = merger()
    both.merge([[told(100, 1, connections=2)], [told(100, connections=1)]])
    found = both.merge([[], []])
    assert (found.start_ns, found.end_ns, found.connections) == (100 * MS, 100 * MS, 3)
    assert found.workloads[0].completed == 0
