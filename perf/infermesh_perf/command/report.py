"""`infermesh perf report`: the page and the tables of a result, made anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from infermesh_perf.errors import SetupError
from infermesh_perf.report import terminal
from infermesh_perf.results import csv_file, files

EXAMPLES = """\b
Examples:
  infermesh perf report run.json
  infermesh perf report run.json --report out.html
  infermesh perf report nightly/*.json --report-dir pages
"""


def report(
    results: Annotated[
        list[Path],
        typer.Argument(metavar="FILE.json...", help="Results of run, search, scenario or compare."),
    ],
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE.html", help="The page. Example: --report out.html"),
    ] = None,
    report_dir: Annotated[
        Path | None,
        typer.Option(help="A folder for the pages of several results. Example: --report-dir pages"),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option("--filename", "-f", metavar="FILE.csv", help="The table. Example: -f levels.csv"),
    ] = None,
) -> None:
    """Show results again, and make their pages anew.

    A result holds every distribution, so that nothing is lost: a page of today can be made from a file of
    last year.
    """
    # Here, because it takes a second to import.
    from infermesh_perf.report import page

    if len(results) > 1 and (report or csv):
        raise SetupError("--report and -f are for one result", hint="--report-dir takes several")
    if report and report_dir:
        raise SetupError("--report and --report-dir both say where pages go, expected one of them")
    _refuse_one_name(results if report_dir else [])
    documents = [(path, files.load(path)) for path in results]
    console, errors = Console(highlight=False), Console(stderr=True, highlight=False)
    for path, document in documents:
        if len(results) > 1:
            console.print(str(path), style="bold", markup=False, soft_wrap=True)
        terminal.show(document, console)
        page_path = report or (report_dir / f"{path.stem}.html" if report_dir else None)
        if page_path:
            page.write(document, page_path)
            errors.print(f"Written: {page_path}", markup=False, soft_wrap=True)
        if csv:
            csv_file.save(document, csv)
            errors.print(f"Written: {csv}", markup=False, soft_wrap=True)


def _refuse_one_name(results: list[Path]) -> None:
    """A page has the name of its result, and must not replace another one's."""
    first: dict[str, Path] = {}
    for path in results:
        other = first.setdefault(path.stem, path)
        if other is not path:
            raise SetupError(
                f"{other} and {path} would both have the page {path.stem}.html",
                hint="make their pages one by one with --report",
            )
