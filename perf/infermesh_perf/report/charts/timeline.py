"""What happened when: rate, errors, requests under way, the device; each on the heat map's axis of time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import altair as alt

from infermesh_perf.report.charts import style
from infermesh_perf.report.format import number, rate, share
from infermesh_perf.results.document import Moment

#: Slices that are drawn; where there are more, neighbours become one.
MOST = 120
HEIGHT = 64


def merged(timeline: Sequence[Moment]) -> list[Moment]:
    """At most `MOST` slices: counts are added, of percentiles and requests under way the highest stays."""
    size = max(1, -(-len(timeline) // MOST))
    return [_merge(timeline[first : first + size]) for first in range(0, len(timeline), size)]


def time(timeline: Sequence[Moment], *, labels: bool = True) -> alt.X:
    """The axis that all charts of one timeline share; `labels` where it is not that of the chart below."""
    end = timeline[-1].start_seconds + timeline[-1].seconds
    return alt.X(
        "time:Q",
        scale=alt.Scale(domain=[timeline[0].start_seconds, end], nice=False),
        axis=alt.Axis(
            title=None,
            labels=labels,
            labelExpr="format(datum.value, '~r') + ' s'",
            labelFlush=True,
            grid=False,
            ticks=labels,
            tickCount=10,
        ),
    )


@dataclass(frozen=True)
class _Strip:
    """One figure over time; None where it is not known."""

    title: str
    figure: Callable[[Moment], float | None]
    text: Callable[[float], str]
    colour: str
    #: The axis ends at all of it, where there is such a thing.
    most: float | None = None


_RATE = _Strip("good answers per second", lambda each: each.completed / each.seconds, rate, "var(--c1)")
_ERRORS = _Strip("errors per second", lambda each: each.failed / each.seconds, rate, style.BAD)
_OUTSTANDING = _Strip("requests under way", lambda each: each.outstanding, number, "var(--c3)")
_DEVICE = _Strip("device busy", lambda each: each.gpu, share, "var(--c4)", 1)


def charts(timeline: Sequence[Moment]) -> list[style.Spec]:
    """A strip for each of what was seen; none for errors if there were none, none for a device nobody saw."""
    if not timeline:
        return []
    moments = merged(timeline)
    strips = [_RATE]
    if any(each.failed for each in moments):
        strips.append(_ERRORS)
    strips.append(_OUTSTANDING)
    if any(each.gpu is not None for each in moments):
        strips.append(_DEVICE)
    return [_chart(strip, moments, last=strip is strips[-1]) for strip in strips]


def _chart(strip: _Strip, moments: Sequence[Moment], *, last: bool) -> style.Spec:
    rows: style.Rows = [
        {
            "time": each.start_seconds + each.seconds / 2,
            "value": found,
            "text": strip.text(found),
            "when": when(each),
        }
        for each in moments
        if (found := strip.figure(each)) is not None
    ]
    most = strip.most or max(row["value"] for row in rows) or 1
    base = alt.Chart(style.data(rows), title=strip.title).encode(
        x=time(moments, labels=last),
        y=alt.Y(
            "value:Q",
            scale=alt.Scale(domain=[0, most], nice=strip.most is None),
            axis=alt.Axis(
                title=None,
                tickCount=3,
                format="%" if strip.most else "~s",
                minExtent=style.LABELS,
                maxExtent=style.LABELS,
            ),
        ),
    )
    area = base.mark_area(color=strip.colour, opacity=0.18)
    line = base.mark_line(color=strip.colour, strokeWidth=1.5)
    points = base.mark_point(size=80, opacity=0, filled=True).encode(
        tooltip=[alt.Tooltip("text:N", title=strip.title), alt.Tooltip("when:N", title="time")]
    )
    return style.spec(area + line + points, HEIGHT, f"{strip.title} over time")


def when(moment: Moment) -> str:
    """A slice's time as a tooltip says it."""
    return f"{moment.start_seconds:.1f} s to {moment.start_seconds + moment.seconds:.1f} s"


def _merge(moments: Sequence[Moment]) -> Moment:
    heat: Counter[int] = Counter()
    for each in moments:
        heat.update(each.heat)
    seen = [each.gpu for each in moments if each.gpu is not None]
    return Moment(
        start_seconds=moments[0].start_seconds,
        seconds=sum(each.seconds for each in moments),
        completed=sum(each.completed for each in moments),
        failed=sum(each.failed for each in moments),
        outstanding=max(each.outstanding for each in moments),
        p50_ns=max(each.p50_ns for each in moments),
        p99_ns=max(each.p99_ns for each in moments),
        heat=dict(heat),
        gpu=sum(seen) / len(seen) if seen else None,
    )
