"""Latency over time: how many requests took how long in each slice."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from infermesh_perf.report.charts import style, timeline
from infermesh_perf.report.format import duration
from infermesh_perf.results.document import Moment

#: Steps of colour, from few requests to many.
SHADES = [f"var(--heat-{number})" for number in range(1, 7)]


def chart(moments: Sequence[Moment]) -> style.Spec | None:
    """A cell for each slice and quarter octave of latency, p99 as a line. None without requests."""
    shown = timeline.merged(moments)
    cells = [cell for each in shown for cell in _cells(each)]
    if not cells:
        return None
    heights = [2 ** ((cell["bucket"] + edge) / 4) * 1e3 for cell in cells for edge in (0, 1)]
    shades = _shades(max(cell["requests"] for cell in cells))
    for cell in cells:
        cell["shade"] = next(name for most, name in shades.items() if cell["requests"] <= most)
    heat = (
        alt.Chart(style.data(cells), title="latency")
        .transform_calculate(
            low=_edge("datum.bucket"),
            high=_edge("(datum.bucket + 1)"),
        )
        .transform_calculate(
            latency=f"({style.time_text('datum.low')}) + ' to ' + ({style.time_text('datum.high')})",
            when="format(datum.time, '.1f') + ' s to ' + format(datum.end, '.1f') + ' s'",
        )
        .mark_rect(aria=False)
        .encode(
            x=timeline.time(shown),
            x2="end:Q",
            y=style.time_y("low", None, heights, style.LABELS),
            y2="high:Q",
            color=alt.Color(
                "shade:O",
                scale=style.ordered(list(shades.values()), SHADES[-len(shades) :]),
                legend=alt.Legend(title="requests", titleOrient="left", symbolType="square", columns=3),
            ),
            tooltip=[
                alt.Tooltip("requests:Q", format=","),
                alt.Tooltip("latency:N"),
                alt.Tooltip("when:N", title="time"),
            ],
        )
    )
    tail = (
        alt.Chart(style.data([_tail(each) for each in shown if each.completed]))
        .mark_line(color="var(--hot)", strokeWidth=1.5, point=alt.OverlayMarkDef(size=14, color="var(--hot)"))
        .encode(
            x="time:Q",
            y=style.time_y("p99", None, heights, style.LABELS),
            tooltip=[alt.Tooltip("text:N", title="p99"), alt.Tooltip("when:N", title="time")],
        )
    )
    return style.spec(heat + tail, 260, "Latency over time: cells by number of requests, p99 as a line")


def _cells(moment: Moment) -> style.Rows:
    """As little as can be for each of what may be thousands; the chart computes the rest."""
    end = round(moment.start_seconds + moment.seconds, 3)
    return [
        {"time": round(moment.start_seconds, 3), "end": end, "bucket": bucket, "requests": count}
        for bucket, count in sorted(moment.heat.items())
        if count
    ]


def _tail(moment: Moment) -> style.Row:
    return {
        "time": moment.start_seconds + moment.seconds / 2,
        "p99": moment.p99_ns,
        "text": duration(moment.p99_ns),
        "when": timeline.when(moment),
    }


def _edge(bucket: str) -> str:
    """A Vega expression: where a bucket begins in nanoseconds; four make an octave of microseconds."""
    return f"pow(2, {bucket} / 4) * 1e3"


def _shades(most: int) -> dict[int, str]:
    """The highest number of each shade to its name; by factors, so that one is seen beside thousands."""
    ends = sorted({round(most ** (step / len(SHADES))) for step in range(1, len(SHADES) + 1)})
    starts = [1, *(end + 1 for end in ends)]
    return {
        end: f"{start:,} to {end:,}" if start < end else f"{end:,}"
        for start, end in zip(starts, ends, strict=False)
    }
