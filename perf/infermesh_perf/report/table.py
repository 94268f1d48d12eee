"""A table as text, which a page or a terminal lays out."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import TypeVar

from infermesh_perf.report.format import duration
from infermesh_perf.results.document import Distribution

#: What stands where nothing is known.
NOTHING = "-"
PERCENTILES = ("p50", "p90", "p95", "p99", "p99.9")

Item = TypeVar("Item")
#: Headings to what a row says of an item below them.
Columns = dict[str, Callable[[Item], str]]


@dataclass(frozen=True)
class Table:
    """Rows of as many texts as there are headings; the first column names the row."""

    headings: list[str]
    rows: list[list[str]]

    def only(self, headings: Container[str]) -> Table:
        """The named columns, as far as they are there."""
        places = [place for place, heading in enumerate(self.headings) if heading in headings]
        return Table(
            [self.headings[place] for place in places],
            [[row[place] for place in places] for row in self.rows],
        )


def tabulate(columns: Columns[Item], items: Sequence[Item]) -> Table:
    """A row for each item; without columns that say nothing in any row."""
    rows = [[text(item) for text in columns.values()] for item in items]
    said = [heading for place, heading in enumerate(columns) if any(row[place] != NOTHING for row in rows)]
    return Table(list(columns), rows).only(said)


def time(distribution: Distribution, ns: float) -> str:
    """A figure of a distribution that has any."""
    return duration(ns) if distribution.count else NOTHING


def percentile(part: Callable[[Item], Distribution], name: str) -> Callable[[Item], str]:
    """A column of a percentile such as `p99`."""
    return lambda each: time(part(each), part(each).percentiles_ns[name.removeprefix("p")])
