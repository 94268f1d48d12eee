"""Tables of a whole result."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from infermesh_perf.report.format import duration, number, rate, share, size
from infermesh_perf.report.table import NOTHING, PERCENTILES, Columns, Table, percentile, tabulate, time
from infermesh_perf.results.document import Comparison, Level, Ratio, Run


def levels(run: Run) -> Table:
    """A row for each load."""
    return tabulate(_LEVELS, run.levels)


def ratios(comparison: Comparison) -> Table:
    """A row for each figure that was compared; of A and B the median of the rounds."""
    return tabulate(_RATIOS, comparison.ratios)


def inputs(run: Run) -> Table:
    """A row for each input of each model."""
    return tabulate(
        {
            "model": lambda each: " ".join(filter(None, (each[0].name, each[0].version))),
            "share": lambda each: number(each[0].weight),
            "batch": lambda each: str(each[0].batch),
            "input": lambda each: each[1].name,
            "datatype": lambda each: each[1].datatype,
            "shape": lambda each: " x ".join(map(str, each[1].shape)) or "scalar",
            "source": lambda each: each[0].source,
            "payloads": lambda each: f"{each[0].payloads:,} of {size(each[0].payload_bytes)}",
        },
        [(workload, tensor) for workload in run.workloads for tensor in workload.inputs],
    )


def _figure(ratio: Ratio, rounds: Sequence[float]) -> str:
    """The median in the unit that the figure's name tells."""
    middle = median(rounds)
    return rate(middle) if ratio.name == "throughput" else duration(middle)


_ANSWERS = {None: NOTHING, True: "yes", False: "no"}

_LEVELS: Columns[Level] = {
    "load": lambda each: str(each.load),
    "throughput": lambda each: rate(each.throughput),
    "rows": lambda each: NOTHING if each.rows_per_second == each.throughput else rate(each.rows_per_second),
    "mean": lambda each: time(each.latency, each.latency.mean_ns),
    **{name: percentile(lambda each: each.latency, name) for name in PERCENTILES},
    "max": lambda each: time(each.latency, each.latency.max_ns),
    # Of models that answer one request with several responses.
    "first p50": percentile(lambda each: each.first_response, "p50"),
    "first p99": percentile(lambda each: each.first_response, "p99"),
    "errors": lambda each: share(each.error_share),
    "unsent": lambda each: f"{each.unsent:,}" if each.unsent else NOTHING,
    "stable": lambda each: _ANSWERS[each.stable],
    "objective": lambda each: {None: NOTHING, True: "met", False: "missed"}[each.objective_met],
    "valid": lambda each: "valid" if each.valid else "INVALID",
}

_RATIOS: Columns[Ratio] = {
    "figure": lambda each: each.name,
    "A": lambda each: _figure(each, each.a),
    "B": lambda each: _figure(each, each.b),
    "B / A": lambda each: number(each.ratio),
    "interval": lambda each: f"{number(each.low)} to {number(each.high)}",
    "p-value": lambda each: f"{each.p_value:.2g}",
    "verdict": lambda each: each.verdict,
}
