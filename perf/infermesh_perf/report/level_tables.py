"""Tables of one load."""

from __future__ import annotations

from collections.abc import Mapping

from infermesh_perf.report.format import duration, number, rate, share
from infermesh_perf.report.table import NOTHING, PERCENTILES, Table, percentile, tabulate, time
from infermesh_perf.results.document import Level


def workloads(level: Level) -> Table:
    """A row for each model of a mix."""
    return tabulate(
        {
            "model": lambda each: each.name,
            "throughput": lambda each: rate(each.throughput),
            "completed": lambda each: f"{each.completed:,}",
            "failed": lambda each: f"{each.failed:,}",
            **{name: percentile(lambda each: each.latency, name) for name in PERCENTILES},
            "max": lambda each: time(each.latency, each.latency.max_ns),
        },
        level.workloads,
    )


def failures(level: Level) -> Table:
    """A row for each kind of error."""
    ended = level.completed + level.failed
    return tabulate(
        {
            "error": lambda each: each.kind,
            "requests": lambda each: f"{each.count:,}",
            "of all": lambda each: share(each.count / ended if ended else 0.0),
            "p50": percentile(lambda each: each.latency, "p50"),
            "p99": percentile(lambda each: each.latency, "p99"),
            "what one of them said": lambda each: each.message or NOTHING,
        },
        level.failures,
    )


def slowest(level: Level) -> Table:
    """A row for each of the slowest requests."""
    return tabulate(
        {
            "due at": lambda each: f"{each.due_seconds:.3f} s",
            "latency": lambda each: duration(each.lag_ns + each.service_ns),
            "lag": lambda each: duration(each.lag_ns),
            "service": lambda each: duration(each.service_ns),
            "model": lambda each: each.workload,
            "payload": lambda each: str(each.payload),
            "connection": lambda each: str(each.connection),
            "error": lambda each: each.error or NOTHING,
            "stages": lambda each: _stages(each.stages_ns),
            "trace id": lambda each: each.trace_id or NOTHING,
        },
        level.slowest,
    )


def hops(level: Level) -> Table:
    """A row for each part of a request's time, with where it is known from."""
    whole = sum(hop.mean_ns for hop in level.hops)
    return tabulate(
        {
            "hop": lambda each: each.name,
            "mean": lambda each: duration(each.mean_ns),
            "of the whole": lambda each: share(each.mean_ns / whole if whole else 0.0),
            "known from": lambda each: each.source,
        },
        level.hops,
    )


def checks(level: Level) -> Table:
    """A row for each rule of a valid measurement."""
    return tabulate(
        {
            "check": lambda each: each.name,
            "found": lambda each: each.found,
            "limit": lambda each: each.limit,
            "result": lambda each: "passed" if each.passed else "FAILED",
        },
        level.checks,
    )


def metrics(level: Level) -> Table:
    """A row for each metric of the server that was collected."""
    return tabulate(
        {
            "metric": lambda each: each[0],
            "mean": lambda each: number(each[1][0]),
            "maximum": lambda each: number(each[1][1]),
        },
        list(level.metrics.items()),
    )


def _stages(stages_ns: Mapping[str, int]) -> str:
    """The longest first: that is what was slow."""
    longest = sorted(stages_ns.items(), key=lambda stage: -stage[1])
    return ", ".join(f"{name} {duration(ns)}" for name, ns in longest) or NOTHING
