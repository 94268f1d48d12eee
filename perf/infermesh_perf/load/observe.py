"""What the other side says about a level: the server's statistics, its metrics, its traces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from infermesh.errors import InfermeshError
from infermesh.proto.inference import grpc_service_pb2 as pb

from infermesh_perf.hops import breakdown, envoy_metrics, nv_metrics
from infermesh_perf.hops.gathered import Gathered
from infermesh_perf.hops.prometheus import Scraper
from infermesh_perf.hops.spans import Stages
from infermesh_perf.hops.statistics import Key, difference
from infermesh_perf.hops.traces import Traced, Traces
from infermesh_perf.load.totals import WorkloadTotals
from infermesh_perf.results.document import Hop
from infermesh_perf.target.api import Api

#: Servers send their spans in batches, seconds apart.
TRACES_SECONDS = 6.0


@dataclass
class Seen:
    """What was seen of one level."""

    batch_sizes: dict[int, int] = field(default_factory=dict)
    gathered: Gathered | None = None
    traced: Traced | None = None
    #: Sentences that people should read.
    remarks: list[str] = field(default_factory=list)
    statistics: tuple[pb.ModelStatisticsResponse, pb.ModelStatisticsResponse] | None = None

    def gpu(self, start: float, seconds: float) -> float | None:
        """Share of the device that was busy."""
        return self.gathered.gpu(start, seconds) if self.gathered else None

    def stages(self, trace_id: str) -> Stages | None:
        """Of a request that was traced."""
        return self.traced.requests.get(trace_id) if self.traced else None

    @property
    def metrics(self) -> dict[str, tuple[float, float]]:
        """Mean and maximum by name."""
        return self.gathered.gauges if self.gathered else {}


class Observers:
    """Asks around a level. Models by name and version are those of the workloads."""

    def __init__(
        self, api: Api, models: Sequence[Key], scraper: Scraper | None, traces: Traces | None
    ) -> None:
        self._api = api
        self._models = list(dict.fromkeys(models))
        self._scraper = scraper
        self._traces = traces
        self._before: pb.ModelStatisticsResponse | None = None
        self._after: pb.ModelStatisticsResponse | None = None
        self._remarks: list[str] = []
        self._gathered: Gathered | None = None

    def begin(self) -> None:
        """The measured time begins."""
        self._remarks = []
        if self._traces:
            self._traces.begin()
        if self._scraper:
            self._scraper.begin()
        self._before = self._statistics()

    def end(self) -> None:
        """The measured time ends."""
        self._after = self._statistics()
        self._gathered = self._scraper.end() if self._scraper else None

    def result(self, trace_ids: Sequence[str]) -> Seen:
        """Everything about the level, once all requests are answered; `trace_ids` are waited for."""
        seen = Seen(gathered=self._gathered, remarks=list(self._remarks))
        if self._gathered:
            seen.remarks += self._gathered.remarks
        if self._before is not None and self._after is not None:
            seen.statistics = self._before, self._after
            seen.batch_sizes = difference(self._before, self._after).batch_sizes(self._models)
        if self._traces:
            if trace_ids:
                self._traces.wait_for(trace_ids, TRACES_SECONDS)
            seen.traced = self._traces.result()
            if seen.traced.dropped:
                seen.remarks.append(f"{seen.traced.dropped:,} spans were dropped: trace fewer requests")
            if not seen.traced.requests:
                seen.remarks.append("no span of a traced request arrived: does the server export them here?")
        return seen

    def hops(self, totals: WorkloadTotals, seen: Seen) -> list[Hop]:
        """Where the mean request's time went."""
        if not totals.service.count:
            return []
        server = None
        if seen.statistics:
            server = difference(*seen.statistics).times(self._models)
        if server is None and seen.gathered:
            server = nv_metrics.server_times(seen.gathered, self._models)
        sidecar, source = None, "Prometheus"
        if seen.gathered:
            sidecar = envoy_metrics.sidecar_mean_ns(seen.gathered)
        if sidecar is None and seen.traced:
            sidecar, source = seen.traced.sidecar_mean_ns, "traces"
        traced = seen.traced.times if seen.traced else None
        return breakdown.hops(totals.lag.mean, totals.service.mean, server, sidecar, traced, source)

    def _statistics(self) -> pb.ModelStatisticsResponse | None:
        """None from servers without them; one that fails to tell does not end the run."""
        try:
            return self._api.statistics()
        except InfermeshError as error:
            self._remarks.append(f"no statistics of the server: {error}")
            return None
