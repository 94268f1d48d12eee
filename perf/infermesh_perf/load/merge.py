"""Slices of several workers as one: histograms are merged, counts are added."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from infermesh.proto.infermesh_load_v1 import load_pb2

from infermesh_perf.load.totals import Totals, WorkloadTotals


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
        self._kept = load_pb2.LoadSlice()

    def pass_over(self, told: Sequence[Sequence[load_pb2.LoadSlice]]) -> None:
        """Slices before the measured time: only what was measured of them counts, with the next ones.

        A busy machine cuts its slices late, and measured requests may have ended by then.
        """
        self._kept = self.merge(told)
        self._kept.ClearField("connections_lost")
        for part in self._kept.workloads:
            for rate in ("completed", "sent", "responses", "sent_bytes", "received_bytes"):
                part.ClearField(rate)

    def merge(self, told: Sequence[Sequence[load_pb2.LoadSlice]]) -> load_pb2.LoadSlice:
        """The next slices of each worker, in the workers' order."""
        start_ns, kept, self._kept = self._end_ns, self._kept, load_pb2.LoadSlice()
        for worker, slices in enumerate(told):
            for slice_ in slices:
                self._on_common_terms(worker, slice_)
                # The run lasts until its last worker is done: one that is done before does not extend it.
                if not self._last[worker].finished:
                    self._end_ns = max(self._end_ns, slice_.end_ns)
                self._last[worker] = slice_
        parts = [kept, *chain.from_iterable(told)]
        totals = Totals.empty(len(self._plan.workloads))
        for part in parts:
            totals.add(part)
        numbers = max(map(len, told), default=0)
        return load_pb2.LoadSlice(
            start_ns=start_ns,
            end_ns=self._end_ns,
            started_unix_ns=self._started_unix_ns,
            workloads=[
                self._workload(each, [part.workloads[position] for part in parts if part.workloads], numbers)
                for position, each in enumerate(totals.workloads)
            ],
            cpu_ns=sum(part.cpu_ns for part in parts[1:]),
            threads=sum(last.threads for last in self._last),
            connections_lost=totals.connections_lost,
            connection_error=totals.connection_error,
            outstanding=sum(last.outstanding for last in self._last),
            unsent=sum(last.unsent for last in self._last),
            finished=all(last.finished for last in self._last),
            lateness=totals.lateness.encode(),
            connections=sum(last.connections for last in self._last),
        )

    def _on_common_terms(self, worker: int, slice_: load_pb2.LoadSlice) -> None:
        for part in slice_.workloads:
            for record in (*part.slowest, *part.records):
                record.due_ns += self._delays_ns[worker]
                record.connection = record.connection * len(self._last) + worker

    def _workload(
        self, totals: WorkloadTotals, parts: Sequence[load_pb2.WorkloadSlice], numbers: int
    ) -> load_pb2.WorkloadSlice:
        slowest = sorted(
            chain.from_iterable(part.slowest for part in parts),
            key=lambda it: it.lag_ns + it.service_ns,
            reverse=True,
        )
        # As many as one generator would have described, from all workers alike.
        records = sorted(chain.from_iterable(part.records for part in parts), key=lambda it: it.due_ns)
        return load_pb2.WorkloadSlice(
            completed=totals.completed,
            sent=totals.sent,
            latency=totals.latency.encode(),
            service=totals.service.encode(),
            lag=totals.lag.encode(),
            first_response=totals.first_response.encode(),
            errors=_errors(totals),
            responses=totals.responses,
            sent_bytes=totals.sent_bytes,
            received_bytes=totals.received_bytes,
            slowest=slowest[: self._plan.slowest],
            records=records[: self._plan.max_records * numbers],
        )


def _errors(totals: WorkloadTotals) -> list[load_pb2.ErrorSlice]:
    return [
        load_pb2.ErrorSlice(kind=kind, count=each.count, message=each.message, latency=each.latency.encode())
        for kind, each in totals.failures.items()
    ]
