"""Where the time of a request goes, for each load."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import altair as alt

from infermesh_perf.report.charts import style
from infermesh_perf.report.format import duration, share
from infermesh_perf.results.document import Hop, Level

#: All hops in the order in which a request meets them.
NAMES: tuple[str, ...] = get_args(Hop.model_fields["name"].annotation)


def chart(levels: Sequence[tuple[str, Level]]) -> style.Spec | None:
    """A stacked bar for each named level whose hops are known, None if none is."""
    known = [(name, level) for name, level in levels if level.hops]
    if not known:
        return None
    rows = [row for name, level in known for row in _rows(name, level)]
    present = [name for name in NAMES if any(row["hop"] == name for row in rows)]
    # A hop keeps its colour whichever others are known.
    colours = [style.CATEGORIES[NAMES.index(name)] for name in present]
    bars = (
        alt.Chart(style.data(rows))
        .mark_bar(height=alt.RelativeBandSize(0.7))
        .encode(
            x=alt.X(
                "mean:Q",
                axis=alt.Axis(
                    title="mean time of a request",
                    labelExpr=style.time_text("datum.value", "~g"),
                    tickCount=6,
                ),
            ),
            y=alt.Y(
                "load:N",
                sort=[name for name, _ in known],
                axis=alt.Axis(title=None, domain=False, ticks=False, labelLimit=150),
            ),
            color=alt.Color("hop:N", scale=style.ordered(present, colours), legend=alt.Legend(columns=3)),
            order="place:Q",
            tooltip=[
                alt.Tooltip("load:N"),
                alt.Tooltip("hop:N"),
                alt.Tooltip("text:N", title="mean"),
                alt.Tooltip("share:N", title="of the whole"),
                alt.Tooltip("source:N", title="known from"),
            ],
        )
    )
    return style.spec(bars, 34 * len(known), "Mean time of a request by hop, a bar for each load")


def _rows(name: str, level: Level) -> style.Rows:
    whole = sum(hop.mean_ns for hop in level.hops)
    return [
        {
            "load": name,
            "hop": hop.name,
            "place": NAMES.index(hop.name),
            "mean": hop.mean_ns,
            "text": duration(hop.mean_ns),
            "share": share(hop.mean_ns / whole if whole else 0.0),
            "source": hop.source,
        }
        for hop in level.hops
    ]
