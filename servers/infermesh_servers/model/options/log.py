"""What the process writes to its log, where and how."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from infermesh.logs import LogFormat, Selection


@dataclass(frozen=True, kw_only=True)
class LogOptions:
    """The log. Clients may change all but the file while the server runs."""

    log_format: Annotated[
        LogFormat,
        typer.Option(
            metavar="FORMAT",
            help="text, ISO8601 (text with the time in front), json (Elastic Common Schema), or auto: text "
            "on a terminal, JSON elsewhere.",
        ),
    ] = LogFormat.AUTO
    log_file: Annotated[
        Path | None, typer.Option(metavar="PATH", help="File to append the log to, instead of stdout.")
    ] = None
    log_verbose: Annotated[
        int,
        typer.Option(
            min=0, metavar="LEVEL", help="1 and above: a record for every inference, debug records."
        ),
    ] = 0
    log_info: Annotated[bool, typer.Option(help="Whether to write records of level info.")] = True
    log_warning: Annotated[bool, typer.Option(help="Whether to write warnings.")] = True
    log_error: Annotated[bool, typer.Option(help="Whether to write errors.")] = True

    @property
    def log_selection(self) -> Selection:
        """Which records are written at first."""
        return Selection(self.log_info, self.log_warning, self.log_error, self.log_verbose)
