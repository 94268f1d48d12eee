"""What the generator is told: the load in its own terms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from infermesh.proto.infermesh_load_v1 import load_pb2

from infermesh_perf.load.totals import SLOWEST
from infermesh_perf.results.document import Load


@dataclass(frozen=True)
class Sending:
    """What stays the same from level to level. Zeros leave the choice to the generator."""

    threads: int = 0
    connections: int = 0
    timeout_seconds: float = 20.0
    max_outstanding: int = 0
    seed: int = 1
    #: Requests that are described one by one in each slice.
    records: int = 0
    trace_share: float = 0.0
    #: Of recorded intervals, nanoseconds.
    gaps_ns: tuple[int, ...] = ()


def plan(
    target: load_pb2.Target,
    workloads: Sequence[load_pb2.Workload],
    load: Load,
    sending: Sending,
    requests: int | None = None,
) -> load_pb2.LoadPlan:
    """The plan of one level; `requests` limits the measured ones."""
    made = load_pb2.LoadPlan(
        target=target,
        workloads=workloads,
        threads=sending.threads,
        connections=sending.connections,
        timeout_ns=round(sending.timeout_seconds * 1e9),
        max_outstanding=sending.max_outstanding,
        request_count=requests or 0,
        seed=sending.seed,
        slowest=SLOWEST,
        max_records=sending.records,
        trace_share=sending.trace_share,
    )
    if load.mode == "concurrency":
        made.closed.concurrency = int(load.value)
    elif load.mode == "intervals":
        made.open.replay.gap_ns.extend(sending.gaps_ns)
    elif load.distribution == "poisson":
        made.open.poisson = load.value
    else:
        made.open.constant = load.value
    return made


def shares(whole: load_pb2.LoadPlan, workers: int) -> list[load_pb2.LoadPlan]:
    """The same load, divided among workers: together they do what one would have done."""
    parts = []
    for index in range(workers):
        part = load_pb2.LoadPlan()
        part.CopyFrom(whole)
        part.seed = whole.seed + index
        part.connections = _part(whole.connections, index, workers)
        part.max_outstanding = _part(whole.max_outstanding, index, workers)
        part.request_count = _part(whole.request_count, index, workers)
        if whole.HasField("closed"):
            part.closed.concurrency = _part(whole.closed.concurrency, index, workers)
        elif whole.open.HasField("replay"):
            del part.open.replay.gap_ns[:]
            part.open.replay.gap_ns.extend(_every(whole.open.replay.gap_ns, index, workers))
        elif whole.open.HasField("poisson"):
            part.open.poisson = whole.open.poisson / workers
        else:
            part.open.constant = whole.open.constant / workers
        for workload in part.workloads:
            if workload.HasField("sequences"):
                # Ids that no other worker uses.
                room = workload.sequences.ids // workers if workload.sequences.ids else 1 << 32
                workload.sequences.first_id += index * room
                workload.sequences.ids = room
                workload.sequences.concurrent = _part(workload.sequences.concurrent, index, workers)
        parts.append(part)
    return parts


def _part(total: int, index: int, workers: int) -> int:
    """Zero stays zero: it means the generator's own choice."""
    return max((total + workers - 1 - index) // workers, 1) if total else 0


def _every(gaps: Sequence[int], index: int, workers: int) -> list[int]:
    """The gaps between every nth moment of a recording that is played again and again.

    The first is that from the last moment to the first one of the next round, so that rounds follow each
    other as in the recording: `division.delays` says when each worker begins.
    """
    # As many rounds as there are workers: then each has the same moments in every round of its own.
    moments = list(accumulate(list(gaps) * workers))
    own = moments[index::workers]
    return [later - earlier for earlier, later in zip([own[-1] - moments[-1], *own], own, strict=False)]
