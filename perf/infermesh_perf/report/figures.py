"""The figures of a page: which there are, what each shows and how it is read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from infermesh_perf.analysis import slo
from infermesh_perf.analysis.limits import Limit
from infermesh_perf.report.charts import batches, curve, heatmap, hops, lag, percentiles, ratios, timeline
from infermesh_perf.report.charts.style import Spec
from infermesh_perf.report.format import share
from infermesh_perf.results.document import Comparison, Level, Run

_INTERVALS = (
    f"Bands hold the true percentile with {share(percentiles.CONFIDENCE)} confidence if requests are "
    "independent; under load they are not quite, so take them as the least there is to doubt."
)


@dataclass(frozen=True)
class Figure:
    """Charts that belong together; the title says what is seen, the caption how to read it."""

    title: str
    caption: str
    charts: list[Spec]
    #: Whether two such figures may stand side by side.
    narrow: bool = False


def of_run(run: Run) -> list[Figure]:
    """What all loads of a run show together."""
    limits = _limits(run)
    return _present(
        Figure(
            "Latency over throughput",
            "Each point is a load. The ring marks the knee: beyond it, more load buys latency and hardly any "
            "throughput. A dashed line is a limit of the objective.",
            _known(curve.chart({"": run.levels}, _metrics(limits), limits)),
        ),
        Figure(
            "Where the time goes",
            "The mean time of a request, part by part, for each load. The part that grows with the load is "
            "the bottleneck.",
            _known(hops.chart([(str(level.load), level) for level in run.levels])),
        ),
    )


def of_comparison(comparison: Comparison) -> list[Figure]:
    """What A and B show beside each other."""
    sides = {"A": comparison.a, "B": comparison.b}
    limits = _limits(comparison.a)
    return _present(
        Figure(
            "B over A",
            "Left of 1, B has less. A line is the interval of the ratio, a grey dot a round. Ratios within "
            f"the grey band differ by less than the minimum effect of {share(comparison.minimum_effect)}.",
            _known(ratios.chart(comparison.ratios, comparison.minimum_effect)),
        ),
        Figure(
            "Latency over throughput",
            "Each point is a load. The lower and the further right a line is, the better.",
            _known(
                curve.chart({name: run.levels for name, run in sides.items()}, _metrics(limits)[-1:], limits)
            ),
        ),
        *(
            Figure(
                f"Latency by percentile at {a.load}",
                f"From due to answered, of all rounds together. {_INTERVALS}",
                _known(percentiles.chart({"A": a.latency, "B": b.latency}, limits)),
            )
            for a in comparison.a.levels
            for b in comparison.b.levels
            if a.load == b.load
        ),
        Figure(
            "Where the time goes",
            "The mean time of a request, part by part, for each side and load.",
            _known(
                hops.chart(
                    [(f"{name}, {each.load}", each) for name, run in sides.items() for each in run.levels]
                )
            ),
        ),
    )


def of_level(run: Run, level: Level) -> list[Figure]:
    """What one load shows."""
    latencies = {"corrected": level.latency, "uncorrected": level.service}
    lags = {"of all requests": level.lag, "of the generator itself": level.lateness}
    return _present(
        Figure(
            "Latency by percentile",
            "Corrected latency counts from the moment a request was due, as a user waits; uncorrected "
            f"latency from when it was sent, which a stalled server puts off. {_INTERVALS}",
            _known(percentiles.chart(latencies, _limits(run))),
        ),
        Figure(
            "Latency over time",
            "A cell's colour says how many requests took so long; the line is the p99 of each slice, the "
            "highest where several are drawn as one. Pauses stand out as towers, two ways of being answered "
            "as stripes.",
            [*_known(heatmap.chart(level.timeline)), *timeline.charts(level.timeline)],
        ),
        Figure(
            "Batch sizes",
            "Executions by how many rows the server ran at once. Where all are small, it has waited in vain "
            "or not at all.",
            _known(batches.chart(level.batch_sizes)),
            narrow=True,
        ),
        Figure(
            "Send lag",
            "How long after they were due requests were sent. What the generator itself is late by is to "
            "stay far below the latency; the rest waited for a free slot.",
            _known(lag.chart(lags)),
            narrow=True,
        ),
    )


def _limits(run: Run) -> tuple[Limit, ...]:
    return slo.parse(run.objective).limits if run.objective else ()


def _metrics(limits: Iterable[Limit]) -> list[str]:
    """The median and what is judged: the first limit on latency, or p99."""
    judged = next((limit.name for limit in limits if limit.metric in ("percentile", "mean", "max")), "p99")
    return list(dict.fromkeys(("p50", judged)))


def _known(chart: Spec | None) -> list[Spec]:
    return [] if chart is None else [chart]


def _present(*figures: Figure) -> list[Figure]:
    return [figure for figure in figures if figure.charts]
