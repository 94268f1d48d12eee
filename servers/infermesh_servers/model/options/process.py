"""How the process ends."""

from dataclasses import dataclass
from typing import Annotated

import typer


@dataclass(frozen=True, kw_only=True)
class ProcessOptions:
    """The life of the process. Times are in seconds."""

    exit_timeout_secs: Annotated[
        float,
        typer.Option(
            min=0, metavar="SECS", help="Seconds that accepted requests are given to end after SIGTERM."
        ),
    ] = 30.0
    exit_on_fatal: Annotated[
        bool,
        typer.Option(
            help="Exit if a model fails for good, as when its device does; otherwise serve the rest."
        ),
    ] = False
