"""Sums over slices."""

import pytest
from infermesh.proto.infermesh_load_v1 import load_pb2
from infermesh_perf.load.totals import SLOWEST, Totals
from support.scripted_engine import MS, SECOND, encoded, told


def slice_(*workloads: load_pb2.WorkloadSlice, seconds: float = 1, **more: object) -> load_pb2.LoadSlice:
    return load_pb2.LoadSlice(workloads=workloads, end_ns=round(seconds * SECOND), **more)  # type: ignore[arg-type]


def of(*slices: load_pb2.LoadSlice) -> Totals:
    totals = Totals.empty(len(slices[0].workloads))
    for each in slices:
        totals.add(each)
    return totals


def test_counts_are_added_and_histograms_merged() -> None:
    totals = of(slice_(told(90, 1 * MS), seconds=2), slice_(told(10, 50 * MS), seconds=2))

    whole = totals.all
    assert (whole.completed, whole.sent, whole.responses, whole.latency.count) == (100, 100, 100, 100)
    assert (whole.sent_bytes, whole.received_bytes) == (10_000, 1_000)
    # The mean of both slices' percentiles would be half of it.
    assert whole.latency.percentile(99) == pytest.approx(50 * MS, rel=1e-3)
    assert (totals.seconds, totals.throughput) == (4, 25)


def test_failures_by_kind() -> None:
    totals = of(
        slice_(told(1, failed=2, kind="TIMEOUT")),
        slice_(told(1, failed=3, kind="UNAVAILABLE")),
        slice_(told(1, failed=4, kind="TIMEOUT")),
    )

    found = totals.all.failures
    assert {kind: each.count for kind, each in found.items()} == {"TIMEOUT": 6, "UNAVAILABLE": 3}
    assert found["TIMEOUT"].latency.count == 6
    assert found["TIMEOUT"].message == "no"
    assert (totals.all.failed, totals.failed_in_time) == (9, 9)


def test_workloads_stay_apart() -> None:
    totals = of(slice_(told(3), told(5, 9 * MS)))

    assert [each.completed for each in totals.workloads] == [3, 5]
    assert totals.all.completed == 8
    assert totals.all.latency.max == pytest.approx(9 * MS, rel=1e-3)


def test_what_is_not_in_time_has_no_part_in_rates() -> None:
    totals = of(slice_(told(10), cpu_ns=SECOND // 2, threads=1))
    totals.add(slice_(told(4, failed=1), seconds=9, cpu_ns=SECOND), in_time=False)

    assert (totals.completed, totals.failed_in_time, totals.seconds) == (10, 0, 1)
    assert (totals.all.latency.count, totals.all.failed) == (14, 1)
    assert totals.client_cpu == 0.5


def test_the_client_is_busy_by_its_threads() -> None:
    assert of(slice_(told(1), cpu_ns=SECOND, threads=2)).client_cpu == 0.5
    assert Totals.empty(1).client_cpu == Totals.empty(1).throughput == 0


def test_the_slowest_of_all_slices() -> None:
    def record(ms: int) -> load_pb2.RequestRecord:
        return load_pb2.RequestRecord(lag_ns=ms * MS // 2, service_ns=ms * MS // 2)

    first, second = told(0), told(0)
    first.slowest.extend(record(ms) for ms in range(0, 60, 2))
    second.slowest.extend(record(ms) for ms in range(1, 60, 2))
    totals = of(slice_(first, second))

    assert [(position, (it.lag_ns + it.service_ns) // MS) for position, it in totals.slowest] == [
        (ms % 2, ms) for ms in range(59, 59 - SLOWEST, -1)
    ]


def test_merging_is_adding() -> None:
    slices = [
        slice_(
            told(5, failed=1),
            told(7, 3 * MS, failed=2, kind="TIMEOUT"),
            cpu_ns=7,
            threads=2,
            connections_lost=1,
            connection_error="reset",
            unsent=9,
            lateness=encoded(4 * MS),
        ),
        slice_(told(2), told(1), seconds=0.5, cpu_ns=3, threads=1, unsent=4, lateness=encoded(MS)),
    ]
    slices[0].workloads[0].records.add(due_ns=5)
    slices[0].workloads[1].slowest.add(service_ns=6)
    slices[1].workloads[1].records.add(due_ns=8)
    added, merged = of(*slices), of(slices[0])

    merged.merge(of(slices[1]))

    for name in ("seconds", "completed", "failed_in_time", "cpu_ns", "threads", "connections_lost"):
        assert getattr(merged, name) == getattr(added, name), name
    assert (merged.connection_error, merged.unsent) == (added.connection_error, added.unsent) == ("reset", 4)
    assert merged.records == added.records
    assert merged.slowest == added.slowest
    assert merged.lateness.steps() == added.lateness.steps()
    for one, other in zip(merged.workloads, added.workloads, strict=True):
        for name in ("completed", "sent", "responses", "sent_bytes", "received_bytes", "failed"):
            assert getattr(one, name) == getattr(other, name), name
        for name in ("latency", "service", "lag", "first_response"):
            assert getattr(one, name).steps() == getattr(other, name).steps(), name
        assert one.failures.keys() == other.failures.keys()
