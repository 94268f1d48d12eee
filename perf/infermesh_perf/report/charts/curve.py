"""Latency over throughput: what more load buys, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt

from infermesh_perf.analysis.knee import knee
from infermesh_perf.analysis.limits import Limit
from infermesh_perf.report.charts import style
from infermesh_perf.report.format import duration, rate, share
from infermesh_perf.results.distribution import latency
from infermesh_perf.results.document import Level

_VALIDITY = alt.Scale(domain=["valid", "invalid"], range=["circle", "cross"])


def chart(
    sides: Mapping[str, Sequence[Level]], metrics: Sequence[str], limits: Sequence[Limit]
) -> style.Spec | None:
    """A line for each side and metric (`p99`, `mean`) over the levels; the knee is that of the last metric.

    Limits on latency and throughput are dashed lines. None where no side has two levels that answered.
    """
    answered = {side: [level for level in levels if level.completed] for side, levels in sides.items()}
    if max(map(len, answered.values())) < 2:
        return None
    rows = [
        _row(step, level, metric, f"{side} {metric}".strip())
        for side, levels in answered.items()
        for metric in metrics
        for step, level in enumerate(levels)
    ]
    knees = [found for side, levels in answered.items() for found in _knees(side, levels, metrics[-1])]
    lines = [limit for limit in limits if limit.metric in ("percentile", "mean", "max")]
    heights = [row["latency"] for row in rows] + [limit.limit for limit in lines]
    layers = [
        *(_latency_limit(limit) for limit in lines),
        *(_throughput_limit(limit) for limit in limits if limit.metric == "throughput"),
        *_lines(rows, heights),
        *([_knee_marks(knees)] if knees else []),
    ]
    return style.spec(
        alt.layer(*layers), 320, "Latency over throughput, a point for each load, with knee and objective"
    )


def _row(step: int, level: Level, metric: str, series: str) -> style.Row:
    found = latency(level.latency, metric)
    return {
        "step": step,
        "throughput": level.throughput,
        "latency": found,
        "series": series,
        "load": str(level.load),
        "validity": "valid" if level.valid else "invalid",
        "latency_text": duration(found),
        "throughput_text": rate(level.throughput),
        "errors": share(level.error_share),
    }


def _lines(rows: style.Rows, heights: Sequence[float]) -> list[style.Drawing]:
    series = list(dict.fromkeys(row["series"] for row in rows))
    base = alt.Chart(style.data(rows)).encode(
        x=alt.X(
            "throughput:Q",
            scale=alt.Scale(zero=True),
            axis=alt.Axis(title="good answers per second", format=",.0f", tickCount=8),
        ),
        y=style.time_y("latency", "latency", heights),
        color=alt.Color("series:N", scale=style.ordered(series)),
    )
    points = base.mark_point(size=70, filled=True, opacity=1).encode(
        shape=alt.Shape("validity:N", scale=_VALIDITY, legend=_legend(rows)),
        tooltip=[
            alt.Tooltip("load:N"),
            alt.Tooltip("series:N", title="metric"),
            alt.Tooltip("latency_text:N", title="latency"),
            alt.Tooltip("throughput_text:N", title="throughput"),
            alt.Tooltip("errors:N"),
            alt.Tooltip("validity:N"),
        ],
    )
    return [base.mark_line(strokeWidth=2).encode(order="step:Q"), points]


def _legend(rows: style.Rows) -> alt.Legend | None:
    """Shapes need explaining only where both occur."""
    return alt.Legend() if any(row["validity"] == "invalid" for row in rows) else None


def _knees(side: str, levels: Sequence[Level], metric: str) -> style.Rows:
    index = knee([(level.throughput, latency(level.latency, metric)) for level in levels])
    if index is None:
        return []
    return [{**_row(index, levels[index], metric, ""), "label": f"{side} knee: {levels[index].load}".strip()}]


def _knee_marks(knees: style.Rows) -> style.Drawing:
    base = alt.Chart(style.data(knees)).encode(x="throughput:Q", y="latency:Q")
    ring = base.mark_point(size=320, shape="circle", filled=False, stroke=style.INK, strokeWidth=1.5)
    return ring + style.label(base, align="right", dx=-14, dy=-10, fontWeight="bold", color=style.INK)


def _latency_limit(limit: Limit) -> style.Drawing:
    base = alt.Chart(style.data([{"limit": limit.limit, "label": limit.text}])).encode(y="limit:Q")
    return _rule(base) + style.label(base, align="left", dx=4, dy=-8, color=style.BAD, x=0)


def _throughput_limit(limit: Limit) -> style.Drawing:
    base = alt.Chart(style.data([{"limit": limit.limit, "label": limit.text}])).encode(x="limit:Q")
    return _rule(base) + style.label(base, align="left", dx=5, color=style.BAD, y=8)


def _rule(base: alt.Chart) -> style.Drawing:
    return base.mark_rule(color=style.BAD, strokeDash=[6, 4])
