"""How many workers a plan is for, and when each of them begins."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from infermesh.proto.infermesh_load_v1 import load_pb2

#: Until the last worker begins, where workers take turns.
TURN_SECONDS = 30.0


def usable(plan: load_pb2.LoadPlan, workers: int) -> tuple[int, str]:
    """How many of the workers can take part, so that each has something to do, and why not all of them.

    More would send more than the plan says: half a connection is none. The reason is empty if all can.
    """
    count, reason = workers, ""
    for what, limit in _limits(plan):
        if 0 < limit < count:
            count, reason = limit, f"a {what} of {limit} cannot be divided further"
    rate = plan.open.constant
    if rate and count > (turns := max(int(rate * TURN_SECONDS), 1)):
        count, reason = turns, f"{rate:g} requests per second are too few for more to take turns"
    while delays(plan, count)[-1] > TURN_SECONDS * 1e9:
        count, reason = count - 1, "the recorded intervals are too long for more to take turns"
    return count, reason


def delays(plan: load_pb2.LoadPlan, workers: int) -> list[int]:
    """By how much each worker begins after the common start, in nanoseconds.

    Requests at even distances would come in groups, one of each worker, if all began at once, and recorded
    ones in others than they were recorded in. Poisson's moments are random, and a closed loop has none.
    """
    if gaps := plan.open.replay.gap_ns:
        # The last gaps of the recording: each worker's first moment is one gap of its own after it begins.
        last = (gaps[position % len(gaps)] for position in range(1 - workers, 0))
        return list(accumulate(last, initial=0))
    rate = plan.open.constant
    return [round(index * 1e9 / rate) if rate else 0 for index in range(workers)]


def _limits(plan: load_pb2.LoadPlan) -> Iterator[tuple[str, int]]:
    """Zeros are no limits."""
    yield "concurrency", plan.closed.concurrency
    yield "number of connections", plan.connections
    yield "number of requests", plan.request_count
    if plan.HasField("open"):
        yield "number of requests under way", plan.max_outstanding
    for workload in plan.workloads:
        yield "number of sequence ids", workload.sequences.ids
        if plan.HasField("open"):
            yield "number of live sequences", workload.sequences.concurrent
