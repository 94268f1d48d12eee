"""Hands a result out: files, a page, standard output."""

from __future__ import annotations

import io
from pathlib import Path

import typer
from rich.console import Console

from infermesh_perf.command.options import FormatName, OutputOptions
from infermesh_perf.errors import SetupError
from infermesh_perf.report import terminal
from infermesh_perf.results import csv_file, files
from infermesh_perf.results.document import Comparison, Run


def check(options: OutputOptions, **more: Path | None) -> None:
    """Before anything is measured: whether files can be written where they are wanted.

    `more` are files of other options, by the names of their parameters.
    """
    files_ = {"--report": options.report, "-o": options.output, "-f": options.csv}
    files_ |= {f"--{name.replace('_', '-')}": path for name, path in more.items()}
    for name, path in files_.items():
        if path is None:
            continue
        if not path.absolute().parent.is_dir():
            raise SetupError(f"{name} {path}: there is no folder {path.absolute().parent}")
        if path.is_dir():
            raise SetupError(f"{name} {path}: found a folder, expected a file")


def hand_out(document: Run | Comparison, options: OutputOptions, remarks: list[str]) -> None:
    """Writes what the options ask for, then says what was found and where it lies."""
    written = []
    # First, because it is what the others can be made from.
    if options.output:
        _save(document, options.output, options.format)
        written.append(options.output)
    if options.csv:
        csv_file.save(document, options.csv)
        written.append(options.csv)
    if options.report:
        # Here, because it takes a second to import.
        from infermesh_perf.report import page

        page.write(document, options.report)
        written.append(options.report)
    if options.output is None and options.format is FormatName.JSON:
        typer.echo(document.model_dump_json(indent=1))
    elif options.output is None and options.format is FormatName.CSV:
        typer.echo(csv_file.text(document), nl=False)
    else:
        terminal.show(document, Console(highlight=False))
    errors = Console(stderr=True, highlight=False)
    for remark in remarks:
        errors.print(f"Note: {remark}", markup=False, soft_wrap=True)
    for path in written:
        errors.print(f"Written: {path}", markup=False, soft_wrap=True)


def _save(document: Run | Comparison, path: Path, form: FormatName | None) -> None:
    if form is FormatName.CSV or (form is None and path.suffix == ".csv"):
        csv_file.save(document, path)
    elif form is FormatName.PRETTY:
        shown = io.StringIO()
        terminal.show(document, Console(file=shown, highlight=False))
        files.write_text(path, shown.getvalue())
    else:
        files.save(document, path)
