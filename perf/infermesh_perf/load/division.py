"""How many workers a plan is for, and when each of them begins."""

from __future__ import annotations

from collections.abc import Iterator

from infermesh.proto.infermesh_load_v1 import load_pb2


def usable(plan: load_pb2.LoadPlan, workers: int) -> tuple[int, str]:
    """How many of the workers can take part, so that each has something to do, and why not all of them.

    More would send more than the plan says: half a connection is none. The reason is empty if all can.
    """
    count, reason = workers, ""
    for limit, what in _limits(plan):
        if 0 < limit < count:
            count, reason = limit, f"{what} of {limit} cannot be divided further"
    return count, reason


def delays(plan: load_pb2.LoadPlan, workers: int) -> list[int]:
    """By how much each worker begins after the common start, in nanoseconds.

    Requests at even distances would come in groups, one of each worker, if all began at once. Poisson's
    moments and recorded ones are divided as they are, and a closed loop has none.
    """
    rate = plan.open.constant
    return [round(index * 1e9 / rate) if rate else 0 for index in range(workers)]


def _limits(plan: load_pb2.LoadPlan) -> Iterator[tuple[int, str]]:
    """Zeros are no limits."""
    yield plan.closed.concurrency, "a concurrency"
    yield plan.connections, "a number of connections"
    yield plan.request_count, "a number of requests"
    if plan.HasField("open"):
        yield plan.max_outstanding, "a number of requests under way"
    for workload in plan.workloads:
        yield workload.sequences.ids, "a number of sequence ids"
        if plan.HasField("open"):
            yield workload.sequences.concurrent, "a number of live sequences"
