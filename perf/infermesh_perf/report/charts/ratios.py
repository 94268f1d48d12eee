"""B over A, figure by figure, with intervals, rounds and the minimum effect."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import altair as alt

from infermesh_perf.report.charts import style
from infermesh_perf.report.format import number, share
from infermesh_perf.results.document import Ratio

VERDICTS = {"better": "var(--good)", "worse": style.BAD, "same": style.SOFT, "unclear": "var(--warn)"}
#: Ratios beyond this, or below one over it, are drawn there.
MOST = 20.0

#: Ticks that people think in, by how far the axis reaches.
_TICKS = (
    (1.06, (0.95, 0.98, 1.0, 1.02, 1.05)),
    (1.3, (0.8, 0.9, 1.0, 1.1, 1.2)),
    (2.1, (0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0)),
    (MOST * 1.1, (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)),
)


def chart(ratios: Sequence[Ratio], minimum_effect: float) -> style.Spec | None:
    """A line for each ratio: interval, estimate, its rounds as dots. None without ratios."""
    if not ratios:
        return None
    rows = [_row(ratio) for ratio in ratios]
    dots = [dot for ratio in ratios for dot in _dots(ratio)]
    band = {"low": 1 - minimum_effect, "high": 1 + minimum_effect}
    bounds = [
        *band.values(),
        *(row[key] for row in rows for key in ("low", "high")),
        *(dot["ratio"] for dot in dots),
    ]
    reach = max(max(bound, 1 / bound) for bound in bounds) * 1.02
    scale = alt.Scale(type="log", domain=[1 / reach, reach], nice=False)
    axis = alt.Axis(
        title="B / A", format="~r", values=list(next(ticks for end, ticks in _TICKS if reach <= end))
    )
    y = alt.Y(
        "name:N", sort=[row["name"] for row in rows], axis=alt.Axis(title=None, domain=False, ticks=False)
    )
    base = alt.Chart(style.data(rows)).encode(y=y)
    colour = alt.Color(
        "verdict:N", scale=style.ordered(list(VERDICTS), list(VERDICTS.values())), legend=alt.Legend()
    )
    effect = (
        alt.Chart(style.data([band]))
        .mark_rect(color=style.SOFT, opacity=0.15)
        .encode(x=alt.X("low:Q", scale=scale, axis=axis), x2="high:Q")
    )
    none = alt.Chart(style.data([{"one": 1}])).mark_rule(color=style.SOFT).encode(x="one:Q")
    rounds = (
        alt.Chart(style.data(dots))
        .mark_point(size=28, filled=True, color=style.SOFT, opacity=0.55)
        .encode(
            x=alt.X("ratio:Q", scale=scale, axis=axis),
            y=y,
            tooltip=[
                alt.Tooltip("name:N", title="figure"),
                alt.Tooltip("round:N"),
                alt.Tooltip("text:N", title="B / A"),
            ],
        )
    )
    tooltip = [
        alt.Tooltip("name:N", title="figure"),
        alt.Tooltip("text:N", title="B / A"),
        alt.Tooltip("interval:N"),
        alt.Tooltip("verdict:N"),
    ]
    interval = base.mark_rule(strokeWidth=3).encode(
        x=alt.X("low:Q", scale=scale, axis=axis), x2="high:Q", color=colour, tooltip=tooltip
    )
    estimate = base.mark_point(size=130, filled=True, opacity=1).encode(
        x=alt.X("ratio:Q", scale=scale, axis=axis), color=colour, tooltip=tooltip
    )
    words = base.mark_text(dy=-14, fontWeight="bold").encode(x="ratio:Q", text="verdict:N", color=colour)
    layers = alt.layer(effect, none, rounds, interval, estimate, words)
    return style.spec(layers, 62 * len(rows), "Ratio of B to A for each figure, with intervals and rounds")


def _row(ratio: Ratio) -> style.Row:
    return {
        "name": ratio.name,
        "ratio": min(max(ratio.ratio, 1 / MOST), MOST),
        "low": max(ratio.low, 1 / MOST),
        "high": min(ratio.high, MOST),
        "text": number(ratio.ratio),
        "interval": f"{number(ratio.low)} to {number(ratio.high)} ({share(ratio.confidence)})",
        "verdict": ratio.verdict,
    }


def _dots(ratio: Ratio) -> style.Rows:
    """Rounds side by side where both have as many; else those of B beside the middle of A."""
    paired = len(ratio.a) == len(ratio.b)
    bases = ratio.a if paired else [median(ratio.a)] * len(ratio.b)
    return [
        {
            "name": ratio.name,
            "round": str(place),
            "ratio": min(max(b / a, 1 / MOST), MOST),
            "text": number(b / a),
        }
        for place, (a, b) in enumerate(zip(bases, ratio.b, strict=True), 1)
    ]
