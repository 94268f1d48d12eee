"""What stands on the page of a result, section by section."""

from __future__ import annotations

from dataclasses import dataclass

from infermesh_perf.report import figures, level_tables, tables
from infermesh_perf.report.facts import Facts, of_run, shared
from infermesh_perf.report.figures import Figure
from infermesh_perf.report.table import Table
from infermesh_perf.results.document import Comparison, Level, Run


@dataclass(frozen=True)
class Titled:
    """A table with what stands above it and how it is read."""

    title: str
    table: Table
    caption: str = ""


@dataclass(frozen=True)
class Detail:
    """All about one load; the page shows one of them at a time."""

    name: str
    figures: list[Figure]
    tables: list[Titled]


@dataclass(frozen=True)
class Contents:
    """A page."""

    title: str
    figures: list[Figure]
    tables: list[Titled]
    details: list[Detail]
    facts: list[Facts]
    inputs: list[Titled]


def of(document: Run | Comparison) -> Contents:
    """Everything but the verdict."""
    if isinstance(document, Run):
        return Contents(
            title=f"{_models(document)} at {document.target.url}",
            figures=figures.of_run(document),
            tables=_filled(Titled("All loads", tables.levels(document), _LOADS)),
            details=_details(document),
            facts=[shared(document), of_run(document)],
            inputs=_filled(Titled("Inputs", tables.inputs(document))),
        )
    sides = {"A": document.a, "B": document.b}
    return Contents(
        title=f"{_models(document.a)}: {document.a.target.url} (A) and {document.b.target.url} (B)",
        figures=figures.of_comparison(document),
        tables=_filled(
            Titled("Ratios", tables.ratios(document), _RATIOS),
            *(Titled(f"All loads of {side}", tables.levels(run), _LOADS) for side, run in sides.items()),
        ),
        details=[detail for side, run in sides.items() for detail in _details(run, f"{side}, ")],
        facts=[shared(document), *(of_run(run, side) for side, run in sides.items())],
        inputs=_filled(*(Titled(f"Inputs of {side}", tables.inputs(run)) for side, run in sides.items())),
    )


_LOADS = "Latencies count from the moment a request was due to its last answer; of good answers only."
_RATIOS = "Of A and B the median of the rounds."


def _models(run: Run) -> str:
    return ", ".join(dict.fromkeys(workload.model for workload in run.workloads)) or "no model"


def _details(run: Run, side: str = "") -> list[Detail]:
    return [
        Detail(f"{side}{level.load}", figures.of_level(run, level), _level_tables(level))
        for level in run.levels
    ]


def _level_tables(level: Level) -> list[Titled]:
    return _filled(
        Titled("Models", level_tables.workloads(level)),
        Titled(
            "Errors",
            level_tables.failures(level),
            "Latencies count from the moment a request was due to its failure.",
        ),
        Titled(
            "Slowest requests",
            level_tables.slowest(level),
            "A trace id finds the request in whatever keeps the traces.",
        ),
        Titled("Hops", level_tables.hops(level)),
        Titled("Metrics of the server", level_tables.metrics(level)),
        Titled("Checks of the measurement", level_tables.checks(level)),
    )


def _filled(*titled: Titled) -> list[Titled]:
    return [each for each in titled if each.table.rows]
