"""What the commands of this package have in common: how they read and how they end."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer
from infermesh.errors import ConfigurationError, InfermeshError
from rich.console import Console

from infermesh_perf.errors import SetupError

EXIT_FAILED = 1
EXIT_USAGE = 2
LOG_WIDTH = 180

Root = Annotated[Path, typer.Option(help="Root of the repository.", file_okay=False)]
Out = Annotated[Path | None, typer.Option(help="Result file, in place of one in perf/results.")]


def names_of(option: str, text: str, known: Iterable[str]) -> list[str]:
    """Names with commas between them, in their order. Raises SetupError for one that is unknown or twice."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = set(names) - set(known)
    if unknown or not names or len(set(names)) != len(names):
        raise SetupError(f"{option}: found {text!r}, expected some of {', '.join(known)}, each once")
    return names


def streams_of(text: str) -> tuple[int, ...]:
    """Numbers of requests in flight with commas between them. Raises SetupError for what is none."""
    try:
        streams = tuple(int(number) for number in text.split(","))
    except ValueError:
        streams = ()
    if not streams or min(streams) < 1:
        raise SetupError(f"--streams: found {text!r}, expected numbers from 1, such as 1,16,64")
    return streams


def wide_console() -> Console:
    """Standard output for tables. A log has no width of its own, and 80 columns would break every cell."""
    console = Console()
    if not console.is_terminal:
        console.width = LOG_WIDTH
    return console


def run(command: Callable[..., None], name: str) -> NoReturn:
    """Runs a command with the arguments of this process and exits: 0 done, 1 failed, 2 usage or setup.

    Its docstring is Markdown, and the help; a command that raises typer.Exit chooses its own code.
    """
    app = typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.command()(command)
    signal.signal(signal.SIGTERM, _terminated)
    try:
        app(prog_name=name)
    except InfermeshError as error:
        typer.secho("Error: ", fg="red", bold=True, nl=False, err=True)
        typer.echo(str(error), err=True)
        if error.hint:
            typer.echo(f"Hint: {error.hint}", err=True)
        sys.exit(EXIT_USAGE if isinstance(error, ConfigurationError) else EXIT_FAILED)
    sys.exit(0)


def _terminated(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - the signature of a handler
    # As an exception, so that the servers are ended on the way out.
    sys.exit(128 + number)
