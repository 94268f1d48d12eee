"""Slices of several workers as one: histograms are merged, counts are added."""

from __future__ import annotations

from collections.abc import Sequence

from infermesh.proto.infermesh_load_v1 import load_pb2

from infermesh_perf.load.totals import Totals, WorkloadTotals

Records = list[load_pb2.RequestRecord]


class Merger:
    """Merges what the workers of one plan tell, from the start on.

    `delays_ns` says by how much each began after the common start. Moments of merged slices count from that,
    and the merged numbers of connections are `number * workers + worker`, so that no two are the same.
    """

    def __init__(self, plan: load_pb2.LoadPlan, started_unix_ns: int, delays_ns: Sequence[int]) -> None:
        self._plan = plan
        self._started_unix_ns = started_unix_ns
        self._delays_ns = delays_ns
        self._last = [load_pb2.LoadSlice() for _ in delays_ns]
        self._end_ns = 0

    @property
    def finished(self) -> bool:
        """Whether all workers are."""
        return all(slice_.finished for slice_ in self._last)

    def merge(self, told: Sequence[Sequence[load_pb2.LoadSlice]]) -> load_pb2.LoadSlice:
        """The next slices of each worker, in the workers' order."""
        totals = Totals.empty(len(self._plan.workloads))
        start_ns, cpu_ns = self._end_ns, 0
        slowest: list[Records] = [[] for _ in totals.workloads]
        records: list[Records] = [[] for _ in totals.workloads]
        count = 0
        for worker, slices in enumerate(told):
            count = max(count, len(slices))
            for slice_ in slices:
                self._on_common_terms(worker, slice_)
                totals.add(slice_)
                cpu_ns += slice_.cpu_ns
                for position, part in enumerate(slice_.workloads):
                    slowest[position] += part.slowest
                    records[position] += part.records
                # The run lasts until its last worker is done: one that is done before does not extend it.
                if not self._last[worker].finished:
                    self._end_ns = max(self._end_ns, slice_.end_ns)
                self._last[worker] = slice_
        return load_pb2.LoadSlice(
            start_ns=start_ns,
            end_ns=self._end_ns,
            started_unix_ns=self._started_unix_ns,
            workloads=[
                _workload(each, self._slowest(slow), self._first(known, count))
                for each, slow, known in zip(totals.workloads, slowest, records, strict=True)
            ],
            cpu_ns=cpu_ns,
            threads=sum(last.threads for last in self._last),
            connections_lost=totals.connections_lost,
            connection_error=totals.connection_error,
            outstanding=sum(last.outstanding for last in self._last),
            unsent=sum(last.unsent for last in self._last),
            finished=self.finished,
            lateness=totals.lateness.encode(),
            connections=sum(last.connections for last in self._last),
        )

    def _on_common_terms(self, worker: int, slice_: load_pb2.LoadSlice) -> None:
        for part in slice_.workloads:
            for record in (*part.slowest, *part.records):
                record.due_ns += self._delays_ns[worker]
                record.connection = record.connection * len(self._last) + worker

    def _slowest(self, records: Records) -> Records:
        return sorted(records, key=lambda it: it.lag_ns + it.service_ns, reverse=True)[: self._plan.slowest]

    def _first(self, records: Records, slices: int) -> Records:
        """As many as one generator would have kept, from all workers alike."""
        return sorted(records, key=lambda it: it.due_ns)[: self._plan.max_records * slices]


def _workload(totals: WorkloadTotals, slowest: Records, records: Records) -> load_pb2.WorkloadSlice:
    return load_pb2.WorkloadSlice(
        completed=totals.completed,
        sent=totals.sent,
        latency=totals.latency.encode(),
        service=totals.service.encode(),
        lag=totals.lag.encode(),
        first_response=totals.first_response.encode(),
        errors=[
            load_pb2.ErrorSlice(
                kind=kind, count=each.count, message=each.message, latency=each.latency.encode()
            )
            for kind, each in totals.failures.items()
        ],
        responses=totals.responses,
        sent_bytes=totals.sent_bytes,
        received_bytes=totals.received_bytes,
        slowest=slowest,
        records=records,
    )
