"""Latency over percentiles, which grow towards the tail: 50, 90, 99, 99.9 are equally far apart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import altair as alt
from infermesh_native import Histogram

from infermesh_perf.analysis import quantiles
from infermesh_perf.analysis.limits import Limit
from infermesh_perf.report.charts import style
from infermesh_perf.report.format import duration
from infermesh_perf.results.distribution import histogram
from infermesh_perf.results.document import Distribution

CONFIDENCE = 0.95
_LABEL = "format(100 * (1 - 1 / datum.value), '~r') + '%'"
_TICKS = [1, 2, 4, 10, 20, *(10**power for power in range(2, 10))]


def chart(curves: Mapping[str, Distribution], limits: Sequence[Limit] = ()) -> style.Spec | None:
    """A curve with a band of confidence for each distribution; limits of percentiles are marked.

    The horizontal axis is 1 / (1 - p). A curve ends where less than one request is beyond it. None where
    fewer than two requests are known.
    """
    known = {name: histogram(found) for name, found in curves.items() if found.count}
    if not known:
        return None
    rows = [row for name, found in known.items() for row in _curve(name, found)]
    if not rows:
        return None
    marks = [limit for limit in limits if limit.percentile is not None]
    heights = [row[key] for row in rows for key in ("low", "high")] + [mark.limit for mark in marks]
    most = max([row["tail"] for row in rows] + [_tail(mark) for mark in marks])
    x = alt.X(
        "tail:Q",
        scale=alt.Scale(type="log", domain=[1, max(most, 10)], nice=False),
        axis=alt.Axis(title="percentile of requests", values=_TICKS, labelExpr=_LABEL),
    )
    y = style.time_y("latency", "latency", heights)
    base = alt.Chart(style.data(rows)).encode(
        x=x, color=alt.Color("series:N", scale=style.ordered(list(known)), legend=_LEGEND)
    )
    band = base.mark_area(opacity=0.18, tooltip=False).encode(
        y=style.time_y("low", "latency", heights), y2="high:Q"
    )
    line = base.mark_line(strokeWidth=2).encode(
        y=y,
        strokeDash=alt.StrokeDash("series:N", scale=alt.Scale(domain=list(known), range=[[1, 0], [5, 3]])),
    )
    points = base.mark_point(size=90, opacity=0, filled=True).encode(y=y, tooltip=_TOOLTIP)
    layers = [band, line, points, *([_limit_marks(marks)] if marks else [])]
    names = " and ".join(known)
    return style.spec(alt.layer(*layers), 300, f"Latency by percentile on a logarithmic axis: {names}")


#: The colours of lines, and not those of the pale bands.
_LEGEND = alt.Legend(symbolType="stroke", symbolOpacity=1, symbolSize=300)
_TOOLTIP = [
    alt.Tooltip("percentile:N"),
    alt.Tooltip("series:N", title="latency of"),
    alt.Tooltip("latency_text:N", title="latency"),
    alt.Tooltip("band:N", title=f"{CONFIDENCE:.0%} interval"),
]


def _curve(name: str, found: Histogram) -> style.Rows:
    """Points of one curve; an interval without an end reaches to the highest or lowest request."""
    points = quantiles.bands(found, quantiles.plot_percentiles(found.count), CONFIDENCE)
    return [
        {
            "series": name,
            "tail": 100 / (100 - point.percentile),
            "latency": point.value_ns,
            "low": found.min if point.low_ns is None else point.low_ns,
            "high": found.max if point.high_ns is None else point.high_ns,
            "percentile": _percent(point.percentile),
            "latency_text": duration(point.value_ns),
            "band": f"{_end(point.low_ns)} to {_end(point.high_ns)}",
        }
        for point in points
    ]


def _end(ns: int | None) -> str:
    return "unknown" if ns is None else duration(ns)


def _percent(percentile: float) -> str:
    """With as many nines as tell it from the next: `99.95%`."""
    nines = max(0, math.floor(2 - math.log10(100 - percentile)))
    return f"{percentile:.{nines}f}%"


def _limit_marks(limits: Sequence[Limit]) -> style.Drawing:
    rows = [{"tail": _tail(limit), "limit": limit.limit, "label": limit.text} for limit in limits]
    base = alt.Chart(style.data(rows)).encode(x="tail:Q", y="limit:Q")
    point = base.mark_point(shape="triangle-down", size=110, filled=True, color=style.BAD, opacity=1)
    return point + style.label(base, align="right", dx=-10, color=style.BAD)


def _tail(limit: Limit) -> float:
    assert limit.percentile is not None
    return 100 / (100 - limit.percentile)
