"""Sums over slices: histograms are merged, counts are added, nothing is averaged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from infermesh.proto.infermesh_load_v1 import load_pb2
from infermesh_native import Histogram

SLOWEST = 20


@dataclass
class FailureTotals:
    """Requests that failed in one way."""

    count: int = 0
    message: str = ""
    latency: Histogram = field(default_factory=Histogram)


@dataclass
class WorkloadTotals:
    """What happened to one workload. Histograms are of nanoseconds."""

    completed: int = 0
    sent: int = 0
    responses: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0
    latency: Histogram = field(default_factory=Histogram)
    service: Histogram = field(default_factory=Histogram)
    lag: Histogram = field(default_factory=Histogram)
    first_response: Histogram = field(default_factory=Histogram)
    failures: dict[str, FailureTotals] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """In whatever way."""
        return sum(each.count for each in self.failures.values())

    def add(self, part: load_pb2.WorkloadSlice) -> None:
        """Count what one slice says."""
        self.completed += part.completed
        self.sent += part.sent
        self.responses += part.responses
        self.sent_bytes += part.sent_bytes
        self.received_bytes += part.received_bytes
        self.latency.merge(Histogram.decode(part.latency))
        self.service.merge(Histogram.decode(part.service))
        self.lag.merge(Histogram.decode(part.lag))
        self.first_response.merge(Histogram.decode(part.first_response))
        for error in part.errors:
            own = self.failures.setdefault(error.kind, FailureTotals(message=error.message))
            own.count += error.count
            own.latency.merge(Histogram.decode(error.latency))

    def merge(self, other: WorkloadTotals) -> None:
        """Count what another has counted."""
        for name in ("completed", "sent", "responses", "sent_bytes", "received_bytes"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("latency", "service", "lag", "first_response"):
            getattr(self, name).merge(getattr(other, name))
        for kind, failure in other.failures.items():
            own = self.failures.setdefault(kind, FailureTotals(message=failure.message))
            own.count += failure.count
            own.latency.merge(failure.latency)


@dataclass
class Totals:
    """What happened over some slices, to all workloads of a plan."""

    workloads: list[WorkloadTotals]
    #: The wall time of the slices that count for rates.
    seconds: float = 0.0
    #: Good answers within that time.
    completed: int = 0
    failed_in_time: int = 0
    cpu_ns: int = 0
    threads: int = 0
    connections_lost: int = 0
    connection_error: str = ""
    unsent: int = 0
    lateness: Histogram = field(default_factory=Histogram)
    #: With the position of their workload.
    slowest: list[tuple[int, load_pb2.RequestRecord]] = field(default_factory=list)
    records: list[tuple[int, load_pb2.RequestRecord]] = field(default_factory=list)

    @classmethod
    def empty(cls, workloads: int) -> Totals:
        """For so many workloads."""
        return cls([WorkloadTotals() for _ in range(workloads)])

    def add(self, slice_: load_pb2.LoadSlice, *, in_time: bool = True) -> None:
        """Count one slice; one that is not ``in_time`` adds to the distributions and not to the rates."""
        self.lateness.merge(Histogram.decode(slice_.lateness))
        self.connections_lost += slice_.connections_lost
        self.connection_error = slice_.connection_error or self.connection_error
        self.unsent = slice_.unsent
        self.threads = max(self.threads, slice_.threads)
        if in_time:
            self.seconds += (slice_.end_ns - slice_.start_ns) / 1e9
            self.cpu_ns += slice_.cpu_ns
            self.completed += sum(part.completed for part in slice_.workloads)
            self.failed_in_time += sum(error.count for part in slice_.workloads for error in part.errors)
        for position, part in enumerate(slice_.workloads):
            self.workloads[position].add(part)
            self._keep_slowest((position, record) for record in part.slowest)
            self.records.extend((position, record) for record in part.records)

    def merge(self, other: Totals) -> None:
        """Count what another has counted, later than this one."""
        for name in ("seconds", "completed", "failed_in_time", "cpu_ns", "connections_lost"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.threads = max(self.threads, other.threads)
        self.connection_error = other.connection_error or self.connection_error
        self.unsent = other.unsent
        self.lateness.merge(other.lateness)
        for own, theirs in zip(self.workloads, other.workloads, strict=True):
            own.merge(theirs)
        self._keep_slowest(other.slowest)
        self.records += other.records

    def _keep_slowest(self, more: Iterable[tuple[int, load_pb2.RequestRecord]]) -> None:
        self.slowest.extend(more)
        self.slowest.sort(key=lambda item: item[1].lag_ns + item[1].service_ns, reverse=True)
        del self.slowest[SLOWEST:]

    @property
    def all(self) -> WorkloadTotals:
        """Of all workloads together."""
        if len(self.workloads) == 1:
            return self.workloads[0]
        whole = WorkloadTotals()
        for workload in self.workloads:
            whole.merge(workload)
        return whole

    @property
    def throughput(self) -> float:
        """Good answers per second."""
        return self.completed / self.seconds if self.seconds else 0.0

    @property
    def client_cpu(self) -> float:
        """Share of the sending threads that was busy, 0 to 1."""
        available = self.seconds * 1e9 * max(self.threads, 1)
        return self.cpu_ns / available if available else 0.0
