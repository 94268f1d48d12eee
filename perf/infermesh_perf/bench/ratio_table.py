"""Ratios of a result as a table for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from infermesh_perf.bench.compare import Spread


def ratio_table(ratios: Mapping[str, Mapping[str, Any]]) -> Table:
    """A row for each title with its spread, which is plain data as results hold it."""
    table = Table(title="Ratios, round by round")
    table.add_column("ratio")
    table.add_column("median (lowest - highest)", justify="right")
    for title, spread in ratios.items():
        table.add_row(title, str(Spread(**spread)))
    return table
