"""How large the batches were that the server ran."""

from __future__ import annotations

from collections.abc import Mapping

import altair as alt

from infermesh_perf.report.charts import style
from infermesh_perf.report.format import share


def chart(sizes: Mapping[int, int]) -> style.Spec | None:
    """A bar for each batch size by its executions, None if the server counted none."""
    executions = sum(sizes.values())
    if not executions:
        return None
    rows = sum(size * count for size, count in sizes.items())
    bars = (
        alt.Chart(
            style.data(
                [_row(size, count, executions, rows) for size, count in sorted(sizes.items()) if count]
            )
        )
        .mark_bar(color=style.CATEGORIES[0])
        .encode(
            x=alt.X("size:O", axis=alt.Axis(title="rows in a batch", labelAngle=0)),
            y=alt.Y("executions:Q", axis=alt.Axis(title="executions", format="~s", tickCount=5)),
            tooltip=[
                alt.Tooltip("size:O", title="rows"),
                alt.Tooltip("executions:Q", format=","),
                alt.Tooltip("of_executions:N", title="of all executions"),
                alt.Tooltip("of_rows:N", title="of all rows"),
            ],
        )
    )
    return style.spec(bars, 200, "Executions by batch size")


def _row(size: int, count: int, executions: int, rows: int) -> style.Row:
    return {
        "size": size,
        "executions": count,
        "of_executions": share(count / executions),
        "of_rows": share(size * count / rows if rows else 0.0),
    }
