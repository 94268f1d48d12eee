"""A result on standard output: the verdict, what to do about it, and the loads."""

from __future__ import annotations

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table as Grid
from rich.text import Text

from infermesh_perf.report import tables, verdict
from infermesh_perf.report.format import printable
from infermesh_perf.report.table import Table
from infermesh_perf.report.verdict import Tone, Verdict
from infermesh_perf.results.document import Comparison, Run

_TONES: dict[Tone, str] = {"good": "bold green", "bad": "bold red", "warn": "bold yellow", "neutral": "bold"}
#: What tells a reader something at a glance.
_WORDS = {
    "met": "green",
    "better": "green",
    "missed": "red",
    "worse": "red",
    "INVALID": "bold red",
    "unclear": "yellow",
}
#: What fits beside each other; a page has the rest.
_LEVELS = ("load", "throughput", "p50", "p90", "p99", "p99.9", "errors", "objective", "valid")
#: And what a screen of 80 columns can do without: the verdict speaks of the objective.
_NARROW = tuple(heading for heading in _LEVELS if heading not in ("p90", "objective"))
_ROOMY = 100
#: Columns of a stream that is no terminal: nothing is cut or wrapped there.
_WIDE = 1000


def show(document: Run | Comparison, console: Console) -> None:
    """Prints a result; without lines, colours and wrapping where the console is no terminal."""
    narrow = console.is_terminal and console.width < _ROOMY
    columns = _NARROW if narrow else _LEVELS
    if isinstance(document, Run):
        _table(tables.levels(document).only(columns), "", console)
    else:
        for side, run in (("A", document.a), ("B", document.b)):
            _table(tables.levels(run).only(columns), f"{side}: {run.target.url}", console)
        _table(tables.ratios(document), "B over A", console)
    _verdict(verdict.of(document), console)


class _Unbounded:
    """A table that takes the width it needs, where no screen limits it."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from console.render(self._grid, options.update_width(_WIDE))


def _table(table: Table, title: str, console: Console) -> None:
    if not table.rows:
        return
    if title:
        console.print(Text(printable(title), style="bold"), soft_wrap=True)
    screen = console.is_terminal
    lines = box.SIMPLE_HEAD if screen and console.width >= _ROOMY else None
    grid = Grid(box=lines, pad_edge=False)
    for place, heading in enumerate(table.headings):
        grid.add_column(heading, justify="right" if place else "left", overflow="fold")
    for row in table.rows:
        grid.add_row(*(Text(printable(text), style=_WORDS.get(text, "")) for text in row))
    console.print(grid if screen else _Unbounded(grid), crop=False)
    console.print()


def _verdict(found: Verdict, console: Console) -> None:
    lines = [Text(found.headline, style=_TONES[found.tone]), *map(Text, found.sentences)]
    for failed in found.failed:
        check = failed.check
        lines.append(Text(f"{check.name} at {failed.where}: found {check.found}, limit {check.limit}."))
        if check.advice:
            lines.append(Text(f"  {check.advice}"))
    for line in lines:
        line.plain = printable(line.plain)
        # On a screen sentences wrap between words, elsewhere a sentence is a line.
        console.print(line, soft_wrap=not console.is_terminal)
