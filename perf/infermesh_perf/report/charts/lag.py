"""How late requests were sent, and how much of that was the generator's own doing."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

import altair as alt

from infermesh_perf.report.charts import style
from infermesh_perf.report.format import duration, share
from infermesh_perf.results.distribution import histogram
from infermesh_perf.results.document import Distribution

#: Bins to a decade, and the least that is told apart, in nanoseconds.
BINS = 8
LEAST = 100.0


def chart(distributions: Mapping[str, Distribution]) -> style.Spec | None:
    """Share of requests by lag on a logarithmic axis, for each distribution. None if all are empty."""
    known = {name: found for name, found in distributions.items() if found.count}
    if not known:
        return None
    rows = [row for name, found in known.items() for row in _rows(name, found)]
    edges = [row[edge] for row in rows for edge in ("low", "high")]
    x = alt.X("low:Q", scale=style.log_scale(edges), axis=style.time_axis("time from due to sent", edges))
    bars = (
        alt.Chart(style.data(rows))
        .mark_rect(opacity=0.5, strokeWidth=1)
        .encode(
            x=x,
            x2="high:Q",
            y=alt.Y("share:Q", axis=alt.Axis(title="requests", format="~%", tickCount=5)),
            y2=alt.datum(0),
            color=alt.Color("series:N", scale=style.ordered(list(known))),
            tooltip=[
                alt.Tooltip("series:N", title="what"),
                alt.Tooltip("text:N", title="time"),
                alt.Tooltip("share_text:N", title="requests"),
                alt.Tooltip("requests:Q", title="count", format=","),
            ],
        )
    )
    return style.spec(bars, 200, f"Requests by how late they were: {' and '.join(known)}")


def _rows(name: str, found: Distribution) -> style.Rows:
    bins: Counter[int] = Counter()
    for value, count in histogram(found).steps():
        bins[math.floor(BINS * math.log10(max(value, LEAST)))] += count
    return [
        {
            "series": name,
            "low": _edge(place),
            "high": _edge(place + 1),
            "share": count / found.count,
            "share_text": share(count / found.count),
            "requests": count,
            "text": f"{duration(_edge(place))} to {duration(_edge(place + 1))}",
        }
        for place, count in sorted(bins.items())
    ]


def _edge(place: int) -> float:
    return float(round(10 ** (place / BINS)))
