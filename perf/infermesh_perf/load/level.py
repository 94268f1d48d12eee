"""From what was measured to the level of the document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from infermesh_perf.analysis import verdict
from infermesh_perf.analysis.measured import Measured
from infermesh_perf.analysis.slo import Objective
from infermesh_perf.load.measure import Measurement
from infermesh_perf.load.observe import Seen
from infermesh_perf.load.totals import WorkloadTotals
from infermesh_perf.results.distribution import summarise
from infermesh_perf.results.document import Failure, Hop, Level, Load, SlowRequest, WorkloadResult

#: What the generator's own limit is where a plan does not say.
OUTSTANDING = 1024


@dataclass(frozen=True)
class Context:
    """What is known about a level besides the measurement. `batches` are rows per request, by workload."""

    names: Sequence[str]
    batches: Sequence[int]
    objective: Objective | None = None
    max_outstanding: int = 0
    #: Answers per second of this client from a null server.
    ceiling: float | None = None
    confidence: float = 0.99


def level(load: Load, found: Measurement, seen: Seen, hops: list[Hop], context: Context) -> Level:
    """All about one load, with the checks of its validity and, with an objective, whether it was met."""
    totals, whole = found.totals, found.totals.all
    rows = sum(
        batch * workload.completed for batch, workload in zip(context.batches, totals.workloads, strict=True)
    )
    answered = max(sum(workload.completed for workload in totals.workloads), 1)
    made = Level(
        load=load,
        seconds=totals.seconds,
        throughput=totals.throughput,
        rows_per_second=totals.throughput * rows / answered,
        completed=whole.latency.count,
        failed=whole.failed,
        unsent=totals.unsent,
        sent_bytes=whole.sent_bytes,
        received_bytes=whole.received_bytes,
        latency=summarise(whole.latency),
        service=summarise(whole.service),
        lag=summarise(whole.lag),
        lateness=summarise(totals.lateness),
        first_response=summarise(whole.first_response),
        responses=whole.responses,
        failures=_failures(whole),
        windows=found.windows,
        stable=found.stable,
        timeline=found.timeline.moments(seen.gpu),
        hops=hops,
        batch_sizes=seen.batch_sizes,
        slowest=_slowest(found, seen, context.names),
        workloads=[
            WorkloadResult(
                name=name,
                throughput=workload.latency.count / totals.seconds if totals.seconds else 0.0,
                completed=workload.latency.count,
                failed=workload.failed,
                latency=summarise(workload.latency),
            )
            for name, workload in zip(context.names, totals.workloads, strict=True)
        ],
        client_cpu=totals.client_cpu,
        connections_lost=totals.connections_lost,
        metrics=seen.metrics,
        checks=[],
    )
    checks = verdict.checks(_measured(load, found, made, context))
    met = None
    if context.objective is not None:
        met = all(judgement.met for judgement in context.objective.judge(made))
    return made.model_copy(update={"checks": checks, "objective_met": met})


def _failures(totals: WorkloadTotals) -> list[Failure]:
    return [
        Failure(kind=kind, count=each.count, message=each.message, latency=summarise(each.latency))
        for kind, each in sorted(totals.failures.items(), key=lambda item: -item[1].count)
    ]


def _slowest(found: Measurement, seen: Seen, names: Sequence[str]) -> list[SlowRequest]:
    requests = []
    for position, record in found.totals.slowest:
        trace = record.trace_id.hex()
        stages = seen.stages(trace) if trace else None
        requests.append(
            SlowRequest(
                workload=names[position],
                due_seconds=(record.due_ns - found.origin_ns) / 1e9,
                lag_ns=record.lag_ns,
                service_ns=record.service_ns,
                payload=record.payload,
                connection=record.connection,
                error=record.error,
                trace_id=trace,
                stages_ns=dict(stages.by_name()) if stages else {},
            )
        )
    return requests


def _measured(load: Load, found: Measurement, made: Level, context: Context) -> Measured:
    is_open = load.mode != "concurrency"
    objective = context.objective
    return Measured(
        completed=made.completed,
        failed=made.failed,
        lateness_p99_ns=made.lateness.percentiles_ns["99"],
        latency_p50_ns=made.latency.percentiles_ns["50"],
        client_cpu=made.client_cpu,
        connections_lost=made.connections_lost,
        throughput=made.throughput,
        # What was due by the schedule: random moments come to more or fewer than the mean rate says.
        wanted_rate=(made.lag.count + made.unsent) / made.seconds if is_open and made.seconds else None,
        sent_rate=made.lag.count / made.seconds if made.seconds else 0.0,
        outstanding=found.outstanding,
        max_outstanding=(context.max_outstanding or OUTSTANDING) if is_open else 0,
        percentile=objective.needs_percentile if objective else None,
        confidence=context.confidence,
        stable=found.stable,
        ceiling=context.ceiling,
    )
