"""What all charts share: their look, and axes of times.

Colours are CSS custom properties of the page, whose style sheet gives them their values: a chart needs no
redrawing when the page turns dark or is printed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import altair as alt

#: A Vega-Lite specification as JSON has it.
Spec = dict[str, Any]
#: A row of a chart's data.
Row = dict[str, Any]
Rows = list[Row]
#: A chart or layers of charts: Altair's own types do not survive its operators.
Drawing = Any

FONT = "system-ui, sans-serif"
#: Room for the labels of a vertical axis, the same for all charts that stand on one axis of time.
LABELS = 52

INK, SOFT, LINE, BAD = "var(--ink)", "var(--soft)", "var(--line)", "var(--bad)"
CATEGORIES = [f"var(--c{number})" for number in range(1, 9)]

_TEXT = {
    "labelColor": SOFT,
    "titleColor": SOFT,
    "labelFontSize": 11,
    "titleFontSize": 11,
    "titleFontWeight": "normal",
}
#: What charts look like where they do not say; the page gives it to all of them.
CONFIG: Spec = {
    "background": None,
    "font": FONT,
    "view": {"stroke": None},
    "axis": {**_TEXT, "gridColor": LINE, "domainColor": LINE, "tickColor": LINE, "labelOverlap": "greedy"},
    "legend": {
        **_TEXT,
        "orient": "top",
        "title": None,
        "labelLimit": 260,
        "symbolStrokeWidth": 2,
        "symbolBaseFillColor": SOFT,
    },
    "title": {"color": INK, "anchor": "start", "fontSize": 12, "fontWeight": "normal", "offset": 6},
    "range": {"category": CATEGORIES},
    "text": {"color": INK, "fontSize": 11},
    "rule": {"color": SOFT},
}


def spec(chart: Drawing, height: int, description: str) -> Spec:
    """A chart as wide as the page, its plot `height` pixels high, described for who cannot see it."""
    found: Spec = chart.properties(width="container", height=height, description=description).to_dict()
    # The address of the schema is for editors; the page is to name no address at all.
    del found["$schema"]
    return found


def time_text(value: str, digits: str = ".3~r") -> str:
    """A Vega expression: what `value`, an expression in nanoseconds, is in the unit that suits it."""
    units = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"))
    cases = "".join(
        f"{value} >= {size:g} ? format({value} / {size:g}, '{digits}') + ' {unit}' : " for size, unit in units
    )
    return f"{cases}format({value}, '{digits}') + ' ns'"


def data(rows: Rows) -> alt.InlineData:
    """Rows that travel inside the chart."""
    return alt.InlineData(values=rows)


def log_scale(values: Iterable[float]) -> alt.Scale:
    """A logarithmic scale that all positive values fit on, with a little room."""
    low, high = _bounds(values)
    return alt.Scale(type="log", domain=[low, high], nice=False)


def time_axis(title: str | None, values: Iterable[float]) -> alt.Axis:
    """Labels for `log_scale` of the same nanoseconds: each decade, and between them where there are few."""
    low, high = _bounds(values)
    steps = (1, 2, 5) if high / low < 3000 else (1,)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    return alt.Axis(
        title=title,
        labelExpr=time_text("datum.value", "~g"),
        values=[tick for tick in ticks if low <= tick <= high],
    )


def time_y(field: str, title: str | None, values: Iterable[float], room: int | None = None) -> alt.Y:
    """Nanoseconds upwards on a logarithmic axis for these values.

    `room` is that for labels in pixels, where charts are to align.
    """
    known = list(values)
    axis = time_axis(title, known)
    if room is not None:
        axis["minExtent"] = axis["maxExtent"] = room
    return alt.Y(f"{field}:Q", scale=log_scale(known), axis=axis)


def ordered(names: Sequence[str], colours: Sequence[str] | None = None) -> alt.Scale:
    """Colours for names, in their order."""
    return alt.Scale(domain=list(names), range=list(colours or CATEGORIES)[: len(names)])


def label(base: alt.Chart, **where: Any) -> Drawing:
    """The field `label` as text with a rim in the colour of the ground, so that no line crosses it."""
    rim = base.mark_text(stroke="var(--card)", strokeWidth=4, strokeJoin="round", aria=False, **where)
    return rim.encode(text="label:N") + base.mark_text(**where).encode(text="label:N")


def _bounds(values: Iterable[float]) -> tuple[float, float]:
    positive = [value for value in values if value > 0 and math.isfinite(value)] or [1e3]
    low, high = min(positive) / 1.15, max(positive) * 1.15
    # A scale of less than a factor of four would make noise look like a cliff.
    if high / low < 4:
        middle = math.sqrt(low * high)
        low, high = middle / 2, middle * 2
    return low, high
